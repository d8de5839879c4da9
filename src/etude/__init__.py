"""Etude: make robot policies practise what they fail at, and prove that it helped."""

__version__ = "0.1.0"
