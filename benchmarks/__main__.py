"""Measure every figure, one after the other: `make bench`, or `python -m benchmarks NAME …` for some."""

import sys
from importlib import import_module

NAMES = ("collecting", "control_step", "training_samples", "training_step")


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    chosen = sys.argv[1:] or NAMES
    for name in chosen:
        if name not in NAMES:
            raise SystemExit(f"unknown benchmark '{name}'. Valid: {', '.join(NAMES)}.")
        print(f"\n== {name}", flush=True)
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
