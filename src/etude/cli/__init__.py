"""The commands, one small module each; what a command needs is imported when it runs, so that help is instant."""

from etude.cli.entry import main

__all__ = ["main"]
