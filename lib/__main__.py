"""``python -m lib``: starts the command line (`lib.cli`)."""

import os
import sys

# large pages for large arrays (Linux): fewer to ask the system for; torch reads it when it makes its first array
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

from lib.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
