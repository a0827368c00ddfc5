"""What the pages say of the notebooks: read from the notebooks themselves, so that it stands in one place.

Title and item of the paper are in a notebook's first cell; the tables and figures that it writes are the stems in its
calls of ``save_table`` and ``save_figure``.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat

from lib.paths import ROOT
from lib.report.pages.values import LAPTOP, table

SAVED = re.compile(r'save_(?P<kind>table|figure)\((?P<rest>.*?)f?"(?P<stem>[\w{}-]+)",\s*scale\)', re.DOTALL)
OWN_STEM = "own"  # what notebook 11 calls the figures of the shipped example
# the picture that shows a notebook best, where it is not the first that it writes
PICTURES = {"00_data": "figure_molecules", "02_ani1_and_ani1x": "table2_improvements"}


@dataclass(frozen=True)
class NotebookPage:
    """One notebook.

    Attributes:
        name: of its file, without the ending.
        title: its first heading.
        item: the paper's items that it is about, or ``beyond the paper``.
        tables: stems of the csv files that it writes.
        figures: stems of the pictures that it writes.
    """

    name: str
    title: str
    item: str
    tables: tuple[str, ...]
    figures: tuple[str, ...]

    @property
    def number(self) -> str:
        """Its number, two digits."""
        return self.name[:2]

    @property
    def executed(self) -> str:
        """The executed copy at laptop scale, from the project's root."""
        return f"figures/laptop/{self.name}.ipynb"

    @property
    def picture(self) -> str:
        """A picture of it, from the project's root; empty where it draws none."""
        stems = [PICTURES.get(self.name, ""), *self.figures]
        shown = [stem for stem in stems if (LAPTOP / f"{stem}.png").exists()]
        return f"figures/laptop/{shown[0]}.png" if shown else ""


@cache
def notebook_pages() -> tuple[NotebookPage, ...]:
    """All notebooks, by number."""
    return tuple(_read(path) for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")))


def _read(path: Path) -> NotebookPage:
    cells = nbformat.read(path, 4).cells
    first = cells[0].source
    title = first.splitlines()[0].lstrip("# ").strip()
    match = re.search(r"\*\*The paper's item\*\*: *(.+?)(?=[:;]| \(section|\.\s|\.?$)", first, re.MULTILINE)
    item = match[1].strip() if match else ""
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    saved: dict[str, list[str]] = {"table": [], "figure": []}
    for call in SAVED.finditer(code):
        stem = call["stem"].replace("{stem}", OWN_STEM)
        if stem not in saved[call["kind"]]:
            saved[call["kind"]].append(stem)
    item = "beyond the paper" if item in ("", "none") else item
    return NotebookPage(path.stem, title, item, tuple(saved["table"]), tuple(saved["figure"]))


def home_of_items(items: str) -> tuple[NotebookPage, str]:
    """The notebook and the stem of the csv file that hold the paper's ``items`` (separated by ``|``).

    The first notebook that writes a row of one of them; where none does, the last that writes ``claims``.
    """
    for page in notebook_pages():
        for stem in page.tables:
            if (LAPTOP / f"{stem}.csv").exists() and set(items.split("|")) & _items_of(stem):
                return page, stem
    return next(page for page in notebook_pages() if "claims" in page.tables), "claims"


@cache
def _items_of(stem: str) -> frozenset[str]:
    rows = table(stem)
    return frozenset(rows["item"].unique()) if "item" in rows else frozenset()
