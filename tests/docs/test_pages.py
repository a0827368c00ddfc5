"""Pages that cannot go stale: generated parts are current, README is short, and its numbers have a source."""

import gzip
import json
import re
from pathlib import Path

import pytest
import torch
import yaml

from lib.errors import DataError
from lib.paths import ROOT
from lib.report import verdicts
from lib.report.pages import filling, site, standing, values
from lib.report.pages.__main__ import main
from lib.report.pages.ledgers import ledger
from lib.report.pages.markdown import markdown
from lib.report.pages.notebooks import home_of_items, notebook_pages

README = (ROOT / "README.md").read_text(encoding="utf-8")
# names with digits that are no measurements: the paper's tables, data sets, versions, notebooks, formats
NAMES = (
    r"GFN2-xTB|ANI-1x?|ISO17|MD22|Python 3\.\d+ to 3\.\d+|notebook \d\d|95 %|\b(?:0|1)\d\b|"
    r"10\.1021(?:/|%2F)acs\.jctc\.3c00289|\bs1\b"
)
FORBIDDEN = (  # sentences of former pages that said the opposite of what was meant, or nothing
    "and do so pre-trained",
    "do so pre-trained",
    "Most of it are",
    "or cannot be told",
    "could be told",
    "A run is not a number",
    "and the size of the job with them",
    "on average by as much as the paper prints",
    "agree with the paper's",  # of sizes: a word of the ledger, which says unknown
)


@pytest.mark.parametrize("page", filling.pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_generated_parts_are_current(page):
    text = page.read_text(encoding="utf-8")
    assert text == filling.filled(text), "run make pages"


def test_a_stale_page_is_refused(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("There are <!-- value:claims -->7<!-- /value --> claims.\n", encoding="utf-8")
    monkeypatch.setattr(filling, "pages", lambda: [page])
    monkeypatch.setattr("lib.report.pages.__main__.ROOT", tmp_path)
    assert main(["--check"]) == 1
    assert "page.md is stale: run make pages" in capsys.readouterr().err
    assert main([]) == 0
    assert f"-->{len(values.table('claims'))}<!--" in page.read_text(encoding="utf-8")
    assert main(["--check"]) == 0
    assert main(["--nonsense"]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a <!-- value:nothing -->1<!-- /value -->", "no generated value 'nothing'"),
        ("a <!-- value:gain table2 model=EGNN -->1<!-- /value -->", "expected one"),
        ("a <!-- value:gain table2 modell=EGNN -->1<!-- /value -->", "no column of table2.csv 'modell'"),
        (
            "a\n<!-- table:speed steps nowhere -->\n<!-- /table -->",
            "data/bench/nowhere.json is missing: run make speed",
        ),
        ("a\n<!-- table:speed fast -->\n<!-- /table -->", "no table of speed 'fast'"),
        ("a <!-- value:gain nowhere -->1<!-- /value -->", "figures/laptop/nowhere.csv is missing"),
        ("a <!-- value:claims 3 -->1<!-- /value -->", "wrong arguments"),
        ("a\n<!-- value:claims -->1<!-- /value -->", "begins a line"),
    ],
)
def test_a_wrong_comment_is_named(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        filling.filled(text)


def test_readme_is_one_screen():
    """Its words as a reader sees them, without the comments that name where numbers come from."""
    assert len(README.splitlines()) <= 150
    assert len(re.sub(r"<!--.*?-->", "", README).split()) <= 1500


def test_numbers_in_readme_are_generated_or_measured():
    """Digits outside generated parts, commands, links and names of things."""
    prose = filling.PART.sub("", README)
    prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|^\[!\[.*$", "", prose, flags=re.DOTALL | re.MULTILINE)
    digits = re.findall(r"\S*\d\S*", re.sub(NAMES, "", prose))
    assert not digits, f"draw these from a table or docs/measured.yml: {digits}"


def test_the_same_rule_sees_a_number_that_was_typed():
    typed = README.replace("## Run it", "It falls by 23 %.\n\n## Run it")
    assert typed != README
    assert re.search(r"23", re.sub(NAMES, "", filling.PART.sub("", typed)))


@pytest.mark.parametrize("page", filling.pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_sentences_that_went(page):
    text = " ".join(page.read_text(encoding="utf-8").split())
    assert not [sentence for sentence in FORBIDDEN if sentence in text]


def test_the_averages_never_stand_without_the_pattern():
    text = standing.standing()
    assert "an average gain" in text
    assert "the pattern over models" in text


def lines_of_standing():
    """README's lines by their names."""
    lines = dict(re.findall(r"^\* \*\*(.+?)\*\*: (.+)$", standing.standing(), re.MULTILINE))
    assert list(lines) == ["Reproduced", "Not reproduced", "Undecided", "Not testable here"]
    return lines


def with_verdict(monkeypatch, claim, **words):
    """The ledger with another verdict on one claim."""
    ledger, table = values.table("claims").copy(), values.table
    ledger.loc[ledger["claim"] == claim, list(words)] = list(words.values())
    monkeypatch.setattr(values, "table", lambda stem: ledger if stem == "claims" else table(stem))


def test_what_the_ledger_is_against_stands_under_not_reproduced_and_nothing_else():
    """By the words of the table itself: against, or, of a printed size, smaller or larger."""
    ledger, lines = values.table("claims").set_index("claim"), lines_of_standing()
    for statement in standing.STATEMENTS:
        row = ledger.loc[statement.claim]
        refuted = row["size"] in ("smaller", "larger") if statement.of_size else row["sign"] == "against"
        open_ = row["sign"] in ("likely", "unlikely", "unknown", "one seed", "no evidence") and not statement.of_size
        assert (statement.clause + " (" in lines["Not reproduced"]) == refuted, statement.claim
        assert (statement.clause + " (" in lines["Undecided"]) == open_, statement.claim
        assert sum(statement.clause in line for line in lines.values()) == 1, statement.claim
    assert "best noise" not in lines["Not reproduced"]


def test_readme_leaves_out_nothing_that_the_ledger_is_against():
    ledger = values.table("claims")
    ours = ledger["note"].fillna("").str.startswith("our question")
    refuted = ledger[ledger["sign"].isin(["against", "unlikely"]) & ~ours]
    assert len(refuted)
    assert set(refuted["claim"]) <= {statement.claim for statement in standing.STATEMENTS}


@pytest.mark.parametrize(
    ("sign", "line", "said"),
    [
        ("certain", "Reproduced", False),
        ("likely", "Undecided", True),
        ("unknown", "Undecided", False),
        ("one seed", "Undecided", True),
        ("no evidence", "Undecided", True),
        ("unlikely", "Undecided", True),
        ("against", "Not reproduced", False),
        ("not tested", "Not testable here", False),
    ],
)
def test_a_statement_goes_where_its_verdict_puts_it(monkeypatch, sign, line, said):
    with_verdict(monkeypatch, "sigma-best", sign=sign)
    lines = lines_of_standing()
    assert [name for name, text in lines.items() if "0.2 Å as the best noise" in text] == [line]
    assert (f"; {sign})" in lines[line].partition("0.2 Å as the best noise")[2].split("]")[1][:20]) == said


@pytest.mark.parametrize(
    ("size", "line"),
    [
        ("agrees", "Reproduced"),
        ("smaller", "Not reproduced"),
        ("larger", "Not reproduced"),
        ("unknown", "Undecided"),
        ("only pre-trained learns", "Undecided"),
    ],
)
def test_a_size_goes_where_its_verdict_puts_it(monkeypatch, size, line):
    with_verdict(monkeypatch, "table2-schnet-ani-1x-mae", size=size)
    lines = lines_of_standing()
    assert [name for name, text in lines.items() if "SchNet's on mini ANI-1x" in text] == [line]
    assert "printed 36.1\u00a0%)" in lines[line]


@pytest.mark.parametrize(("q", "marked"), [(0.049, False), (0.051, True)])
def test_what_is_certain_by_itself_alone_is_marked(monkeypatch, q, marked):
    with_verdict(monkeypatch, "sigma-best", sign="certain", q=q)
    clause = lines_of_standing()["Reproduced"].partition("0.2 Å as the best noise")[2].partition(";")[0]
    assert ("]°" in clause) == marked


def test_every_word_of_a_verdict_has_its_line():
    assert set(standing.OF_SIGNS) == set(verdicts.SIGNS)
    assert set(standing.OF_SIZES) == {*verdicts.SIZES, ""}


def test_departures_begin_with_the_labels():
    rows = re.findall(
        r"^\| (?!what|---)(.*?) \|", (ROOT / "docs/departures.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert rows[0].startswith("**How many of the pre-training conformations are labelled.**")


def test_measurements_say_how_and_where():
    for name, entry in yaml.safe_load(values.MEASURED.read_text(encoding="utf-8")).items():
        assert {"text", "how", "machine"} <= set(entry), name
        if "record" in entry:
            with gzip.open(ROOT / entry["record"], "rt", encoding="utf-8") as file:
                recorded = json.load(file)["about"]["conformations"]["train"]
            assert entry["text"] == f"{recorded:,}"


def test_every_notebook_is_in_readme_with_a_picture():
    for page in notebook_pages():
        assert f"({page.executed})" in README
        assert (ROOT / page.executed).exists()
        assert page.picture, page.name


def test_every_claim_leads_to_a_notebook_and_its_numbers():
    assert home_of_items("Table 2") == (notebook_pages()[2], "table2")
    assert home_of_items("Figure 2a|Figure 2b")[1] == "figure2ab"
    assert home_of_items("nothing of ours")[1] == "claims"
    lines = ledger().splitlines()[2:]
    assert len(lines) == len(values.table("claims"))
    for line in lines:
        for link in re.findall(r"\]\(\.\./([^)]+)\)", line):
            assert (ROOT / link).exists(), link


def test_an_estimate_has_its_interval_and_no_minus_before_zero(monkeypatch):
    rows = values.table("equation8").assign(value=-0.004, low=-0.031, high=0.021)
    monkeypatch.setattr(values, "table", lambda _: rows)
    where = ("subset=excess over the shrinkage", "model=")
    assert values.estimate("equation8", "2", *where) == "0.00\u00a0[-0.03,\u00a00.02]"
    assert values.estimate("equation8", "3", *where) == "-0.004\u00a0[-0.031,\u00a00.021]"


def test_the_verdict_of_a_claim_is_the_ledgers(monkeypatch):
    with_verdict(monkeypatch, "sigma-best", sign="one seed")
    assert values.verdict("sigma-best") == "one seed"


def test_values_are_rounded_so_that_signs_stay():
    assert [values.rounded(x) for x in (23.4, -0.019, 0.4, -28.0, 0.0)] == ["23", "-0.02", "0.4", "-28", "0"]
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


class TestSite:
    def test_links_of_pages_hold(self, tmp_path):
        site.stage(tmp_path / "source")
        staged = {
            str(path.relative_to(tmp_path / "source")) for path in (tmp_path / "source").rglob("*") if path.is_file()
        }
        assert {"index.md", "docs/ledger.md", "figures/laptop/table2.csv", "CONTRIBUTING.md"} <= staged
        assert {page.executed for page in notebook_pages()} <= staged
        start = (tmp_path / "source" / "index.md").read_text(encoding="utf-8")
        assert "badge" not in start
        entries = re.findall(r"^(?:[\w ]+ <)?([\w/]+)>?$", start, re.MULTILINE)
        listed = {name for name in entries if "/" in name or name.isupper()}
        pages = {name.removesuffix(".md").removesuffix(".ipynb") for name in staged if name.endswith((".md", ".ipynb"))}
        assert listed | {"index"} == pages, "every page is in the table of contents, and nothing else"

    def test_a_broken_link_is_named(self, tmp_path):
        with pytest.raises(DataError, match=r"docs/x.md, nowhere.csv: the page links to a file that does not exist"):
            site._copy_linked("[a](nowhere.csv)", Path("docs/x.md"), tmp_path)

    def test_a_folder_of_yours_is_left_alone(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("mine")
        (tmp_path / site.START).write_text("the start page of another site")
        with pytest.raises(DataError, match="remove it, or name a new one"):
            site.stage(tmp_path)
        assert (tmp_path / "thesis.tex").read_text() == "mine"


@pytest.mark.slow
def test_the_page_on_running_does_what_it_says(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/running.md").read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(block, names)
    assert names["result"].metrics["test_mae"] > 0
    assert "test_mae" in capsys.readouterr().out


@pytest.mark.slow
def test_the_page_on_pyg_does_what_it_says(capsys):
    names = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs/pyg.md").read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    losses = names["losses"]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    assert capsys.readouterr().out.startswith("torch.Size([3]) ")
    assert torch.isfinite(names["prediction"].energy).all()
