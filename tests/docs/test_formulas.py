"""Every formula of the pages and notebooks can be turned into MathML, as the site needs it."""

import json
import re

import pytest

from lib.paths import ROOT

latex2mathml = pytest.importorskip("docutils.utils.math.latex2mathml", reason="the extra docs is not installed")
PAGES = sorted(
    [*(ROOT / "notebooks").rglob("*.ipynb"), *(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks/answers").glob("*.md")]
)
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_formulas_can_be_shown(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    for block, inline in FORMULA.findall(CODE.sub("", text)):
        latex2mathml.tex2mathml((block or inline).strip(), as_block=bool(block))
