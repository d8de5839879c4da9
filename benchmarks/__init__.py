"""Figures of Etude, each measured side by side with what it is compared to. Run one: python -m benchmarks.NAME."""
