"""The sources of the site, laid together in one folder for Sphinx as they lie in the repository, so that links hold.

Pages are README (the start page), docs/ and the other Markdown files, executed notebooks of figures/laptop, and the
files of the repository one of these links to.
"""

import re
import shutil
from pathlib import Path

import nbformat

from lib.errors import DataError
from lib.files import write_text
from lib.paths import ROOT
from lib.report.pages.filling import pages
from lib.report.pages.notebooks import notebook_pages

START = "index.md"  # what README is called on the site
MARK = ".site-source"  # an empty file by which a folder is known as made here
ANSWERS = Path("figures/laptop/answers")  # to the questions at the ends of notebooks; a link to notebooks/answers
LINK = re.compile(r"\]\((?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)  # no links there
BADGE = re.compile(r"^\[!\[[^\n]*\n", re.MULTILINE)  # their pictures are elsewhere on the web
THUMBNAIL = re.compile(r'<a href="(?P<to>[^"]+)"><img src="(?P<src>[^"]+)"[^>]*alt="(?P<alt>[^"]+)"></a>')
CONTENTS = """
```{{toctree}}
:hidden:
:caption: {caption}

{entries}
```
"""
PARTS = {
    "Read": ("docs/method", "docs/results", "docs/ledger", "docs/departures"),
    "Use": ("docs/running", "docs/scales", "docs/own_molecules", "docs/pyg", "data/README", "lib/bench/README"),
    "Extend": ("docs/extending", "CONTRIBUTING", "docs/api", "docs/checklists", "SECURITY", "figures/laptop/README"),
}


def stage(folder: Path) -> None:
    """Write the site's sources into ``folder``, which is made anew.

    Raises:
        DataError: a page links to a file that does not exist, or ``folder`` has files that are not a site's sources.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise DataError(folder, "", "this folder is not empty, and no site's", "remove it, or name a new one")
    shutil.rmtree(folder, ignore_errors=True)
    write_text(folder / MARK, "")
    for page in pages():
        text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT)
        _copy_linked(text, name, folder)
        if str(name) == "README.md":
            text, name = start_page(text), Path(START)
        write_text(folder / name, text)
    for notebook in notebook_pages():
        _stage_notebook(Path(notebook.executed), folder)
    for page in _answers():  # beside the executed copies, which link to them there
        write_text(folder / ANSWERS / page.name, page.read_text(encoding="utf-8"))


def _answers() -> list[Path]:
    """The pages of answers to the notebooks' questions."""
    return sorted((ROOT / ANSWERS).glob("*.md"))


def start_page(readme: str) -> str:
    """README as the start page: without badges, with the table of contents."""
    text = THUMBNAIL.sub(r"[![\g<alt>](\g<src>)](\g<to>)", BADGE.sub("", readme))
    text = text.replace("](README.md)", f"]({START})")
    executed = [f"{page.name.replace('_', ' ')} <{page.executed.removesuffix('.ipynb')}>" for page in notebook_pages()]
    answers = tuple(f"{ANSWERS}/{page.stem}" for page in _answers())
    parts = {
        "Read": PARTS["Read"],
        "Notebooks": tuple(executed),
        "Use": PARTS["Use"],
        "Extend": PARTS["Extend"],
        "Answers": answers,
    }
    return text + "".join(
        CONTENTS.format(caption=caption, entries="\n".join(entries)) for caption, entries in parts.items()
    )


def _stage_notebook(name: Path, folder: Path) -> None:
    """The executed copy; its cells of parameters that papermill adds are left as they are."""
    notebook = nbformat.read(ROOT / name, 4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            _copy_linked(cell.source, name, folder)
    write_text(folder / name, nbformat.writes(notebook))


def _copy_linked(text: str, name: Path, folder: Path) -> None:
    """Copy the files that ``text``, a page called ``name``, links to, but for other pages and notebooks."""
    text = CODE.sub("", text)
    for match in [*LINK.finditer(text), *re.finditer(r'(?:src|href)="(?P<path>[^"#:]+)"', text)]:
        target = (ROOT / name.parent / match["path"]).resolve()
        if "actions/workflows" in match["path"]:
            continue  # of the web page around the repository
        if not target.is_file() or not target.is_relative_to(ROOT):
            raise DataError(name, match["path"], "the page links to a file that does not exist", "mend the link")
        if target.suffix not in (".md", ".ipynb"):
            copy = folder / target.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, copy)
