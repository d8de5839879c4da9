"""MuJoCo worlds: scenes, robots, controllers, tasks, perturbations, rendering, scripted experts."""
