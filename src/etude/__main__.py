"""`python -m etude …` does what `etude …` does, for launchers of modules: `accelerate launch -m etude train …`."""

import sys

from etude.cli import main

if __name__ == "__main__":
    sys.exit(main())
