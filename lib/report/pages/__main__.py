"""``python -m lib.report.pages [--check | site FOLDER]``."""

import sys
from pathlib import Path

from lib.paths import ROOT
from lib.report.pages.filling import stale, write
from lib.report.pages.site import stage

USAGE = "usage: python -m lib.report.pages [--check | site FOLDER]"


def main(arguments: list[str]) -> int:
    """Fill the pages, name the stale ones (1 where there are any), or lay the site's sources together."""
    match arguments:
        case []:
            for page in write():
                sys.stdout.write(f"written: {page.relative_to(ROOT)}\n")
        case ["--check"]:
            pages = stale()
            for page in pages:
                sys.stderr.write(f"error: {page.relative_to(ROOT)} is stale: run make pages\n")
            return int(bool(pages))
        case ["site", folder]:
            stage(Path(folder))
        case _:
            sys.stderr.write(f"error: unknown arguments {arguments}; {USAGE}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
