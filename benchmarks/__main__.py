"""Measure every figure, one after the other: `make bench`, or `python -m benchmarks NAME …` for some."""

import subprocess
import sys

NAMES = (
    "act_training",
    "collecting",
    "control_step",
    "diagnosis",
    "generating",
    "importing",
    "overhead",
    "planted",
    "rollouts",
    "scoring",
    "sequential",
    "training_samples",
    "training_step",
    "worlds",
    "yields",
)


def main() -> int:
    """Run the benchmarks named on the command line, or all, each in a process of its own."""
    chosen = sys.argv[1:] or NAMES
    for name in chosen:
        if name not in NAMES:
            raise SystemExit(f"unknown benchmark '{name}'. Valid: {', '.join(NAMES)}.")
    codes: list[int] = []
    for name in chosen:
        print(f"\n== {name}", flush=True)
        codes.append(subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
