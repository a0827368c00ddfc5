"""Generated parts of the pages: tables and numbers that stand in README, docs/ and the other Markdown files.

A generated part stands between two comments, a table on lines of its own, a value inside a sentence::

    <!-- table:NAME ARGUMENTS -->          <!-- value:NAME ARGUMENTS -->23 %<!-- /value -->
    | … |
    <!-- /table -->

NAME is a key of `tables.TABLES` or `values.VALUES`; arguments are separated as in a shell. A value must not begin a
line: Markdown would take the line as HTML.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from lib.errors import look_up
from lib.files import write_text
from lib.paths import ROOT
from lib.report.pages.speed import about, speed
from lib.report.pages.tables import TABLES
from lib.report.pages.values import VALUES

KINDS: Mapping[str, Mapping[str, Callable[..., str]]] = {
    "table": {**TABLES, "speed": speed},
    "value": {**VALUES, "speed-about": about},
}
PART = re.compile(
    r"(?P<open><!-- (?P<kind>table|value):(?P<call>[^\n]*?) -->)(?P<body>.*?)(?P<close><!-- /(?P=kind) -->)", re.DOTALL
)
OUTSIDE_DOCS = (
    "README.md",
    "figures/laptop/README.md",
    "data/README.md",
    "lib/bench/README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
)


def pages() -> list[Path]:
    """Every Markdown file that may have generated parts."""
    return [ROOT / name for name in OUTSIDE_DOCS] + sorted((ROOT / "docs").rglob("*.md"))


def filled(text: str) -> str:
    """``text`` with its generated parts as they are now.

    Raises:
        ValueError: an unknown name or wrong arguments in a comment, or a value at the beginning of a line.
    """
    return PART.sub(_part, text)


def _part(match: re.Match[str]) -> str:
    name, *arguments = shlex.split(match["call"])
    make = look_up(KINDS[match["kind"]], name, f"generated {match['kind']}")
    try:
        body = make(*arguments)
    except TypeError as error:
        raise ValueError(f"{match['open']} has wrong arguments: {error}") from None
    if match["kind"] == "table":
        body = f"\n{body}\n"
    elif match.start() == 0 or match.string[match.start() - 1] == "\n":
        raise ValueError(f"{match['open']} begins a line, which Markdown takes as HTML: put a word before it")
    return f"{match['open']}{body}{match['close']}"


def stale() -> list[Path]:
    """The pages whose generated parts are not what they would be now."""
    return [page for page in pages() if (text := page.read_text(encoding="utf-8")) != filled(text)]


def write() -> list[Path]:
    """Fill every page; those that changed."""
    changed = stale()
    for page in changed:
        write_text(page, filled(page.read_text(encoding="utf-8")))
    return changed
