"""How Sphinx builds the site from the sources that `lib.report.pages.site` lays together: ``make book``.

Executed notebooks are shown as they are, formulas are MathML, and nothing is loaded from other servers.
"""

import re
import tomllib

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from lib.paths import ROOT

CODE_OR_BAR = re.compile(r"(``.*?``)|\|")  # a bar in a sentence is |x|, no substitution
about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "Denoise pre-training, a reproducible companion"
author = "the authors of this companion"
project_copyright = "MIT licence"
version = release = about["version"]
root_doc = "index"
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}

nb_execution_mode = "off"  # executed copies, by `make reproduce`
nb_ipywidgets_js: dict[str, dict] = {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type", "myst.header", "misc.highlighting_failure"]

autodoc_typehints = "description"
autodoc_member_order = "bysource"
default_role = "code"
napoleon_google_docstring = True

html_theme = "sphinx_book_theme"
html_title = "Denoise pre-training"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["ledger.js"]
html_copy_source = False
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "docs/ledger": []},  # its table is wide
    **{f"navbar_{place}": [] for place in ("start", "center", "end", "persistent")},  # the sidebar has the search
}
html_math_renderer = "mathml"


def visit_formula(self: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """A formula as MathML; raises `SkipNode`, for it has no children to visit."""
    block = isinstance(node, nodes.math_block)
    formula = tex2mathml(node.astext(), as_block=block)
    self.body.append(f'<div class="formula">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def mark_formulas(_app: Sphinx, what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Formulas and small tables of a docstring stand as they are: an indented paragraph becomes literal, and in a
    module's docstring, which has no section of arguments, one with hanging lines too.
    """
    out: list[str] = []
    before = 0  # indentation of the paragraph before
    for paragraph in "\n".join(lines).split("\n\n"):
        rows = paragraph.split("\n")
        indents = [len(row) - len(row.lstrip()) for row in rows if row.strip()] or [before]
        hanging = what == "module" and len(set(indents)) > 1 and not rows[0].startswith(("*", "-"))
        if (indents[0] > before or hanging) and out and not out[-2].endswith("::"):
            out += [" " * before + "::", ""]
            rows = [f"    {row}" for row in rows] if hanging else rows
        out += [*rows, ""]
        before = before if indents[0] > before else indents[-1]
    lines[:] = [CODE_OR_BAR.sub(lambda match: match[1] or r"\|", line) if line[:4].strip() else line for line in out]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer of formulas."""
    app.connect("autodoc-process-docstring", mark_formulas, priority=400)  # before napoleon
    app.add_html_math_renderer("mathml", (visit_formula, None), (visit_formula, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
