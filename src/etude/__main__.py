"""`python -m etude …` does what `etude …` does, for launchers of modules as Accelerate's."""

import sys

from etude.cli import main

if __name__ == "__main__":
    sys.exit(main())
