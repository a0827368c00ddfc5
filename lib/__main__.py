"""``python -m lib``: starts the command line (`lib.cli`)."""

import sys

from lib.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
