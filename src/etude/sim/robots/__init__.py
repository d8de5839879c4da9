"""Robots as specifications to attach to a world: light meshes, joint names, conventions."""
