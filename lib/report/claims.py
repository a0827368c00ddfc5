"""The paper's claims, and which cases or rows each is about.

``data/paper/claims.csv`` has a claim a row, with its place, the rule (``test``, a name of `rules.RULES`), the finding
that it belongs to and the selection of what the rule looks at; Table 2's 16 improvements follow from ``table2.csv``.
What no number of ours can decide is in ``undecided.csv``, with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from lib.data.datasets import label, paper_names
from lib.models import MODELS
from lib.paths import DATA
from lib.report.evidence import OF_TRIALS, PARTS, Case, Cell, trial_cells
from lib.report.rules import BLANK, RULES, Question, Rule
from lib.report.rules.rule import untested
from lib.report.tables import LEARNT, paper_table2
from lib.report.verdicts import NO_EVIDENCE, Outcome
from lib.study.matrix import MATRIX
from lib.study.scales import LAPTOP, get_scale

CLAIMS, UNDECIDED = DATA / "paper" / "claims.csv", DATA / "paper" / "undecided.csv"
SELECTORS = ("item", "dataset", "system", "subset", "metric", "share")
OURS = "our question"  # begins the note of what the paper does not say in so many words
RECOMPUTED = "recomputed from the printed errors"  # a note of gains that the paper prints no sentence about


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        claim: its name.
        finding: what it is a part of; several rows of one finding count once in a summary.
        place: in the paper.
        statement: in words.
        rule: what decides it.
        select: what the rule looks at: allowed words by each of `SELECTORS`, all where there are none.
        models: those that the claim names; empty where it names none.
        threshold: the number that the claim prints, or that we read into it, as text; empty where there is none.
        unit: of the number that decides.
        note: how it was read.
    """

    claim: str
    finding: str
    place: str
    statement: str
    rule: Rule
    select: dict[str, tuple[str, ...]]
    models: tuple[str, ...]
    threshold: str
    unit: str
    note: str

    @property
    def number(self) -> float:
        """The threshold; NaN where there is none."""
        return float(self.threshold or "nan")

    @property
    def of_paper(self) -> bool:
        """Whether the paper says it in so many words."""
        return not self.note.startswith(OURS)

    def asks_for(self, model: str, **facts: str) -> bool:
        """Whether the claim is about a case with these words; a rule that compares models is given all of them."""
        named = not self.models or self.rule.between_models or model in self.models
        return named and all(not words or facts[key] in words for key, words in self.select.items() if key in facts)


def load_claims() -> list[Claim]:
    """All claims, in the order of the paper."""
    rows = pd.read_csv(CLAIMS, dtype=str, keep_default_na=False)
    return _of_table2() + [_claim(row) for _, row in rows.iterrows()]


def load_undecided() -> pd.DataFrame:
    """What no number of ours can decide: columns place, statement, reason."""
    return pd.read_csv(UNDECIDED, dtype=str, keep_default_na=False)


def _claim(row: pd.Series) -> Claim:
    """The claim of one row of ``claims.csv``."""
    select = {key: _words(row[key]) for key in SELECTORS}
    return Claim(row["claim"], row["finding"], row["place"], row["statement"], RULES[row["test"]], select,
                 _words(row["model"]), row["threshold"], row["unit"], row["note"])  # fmt: skip


def _words(text: str) -> tuple[str, ...]:
    """The words of a selection, separated by bars."""
    return tuple(word for word in text.split("|") if word)


def _of_table2() -> list[Claim]:
    """The 16 improvements that follow from the printed errors; RMSE and MAE of a model on data are one finding."""
    out = []
    for _, row in paper_table2().query("pretrained == 'improvement'").iterrows():
        name, metric = f"{row['model']}-{row['dataset']}".lower(), row["metric"]
        note = RECOMPUTED
        select: dict[str, tuple[str, ...]] = dict.fromkeys(SELECTORS, ())
        select |= {"item": ("Table 2",), "dataset": (row["dataset"],), "metric": (metric,), "share": ("1",)}
        printed = f"{row['value']:.1f}"
        text = f"Pre-training lowers {metric.upper()} of {row['model']} on {row['dataset']} by {printed} %"
        out.append(Claim(f"table2-{name}-{metric}", f"table2-{name}", "Table 2", text, RULES["average_gain"], select,
                         (row["model"],), printed, "%", note))  # fmt: skip
    return out


def cases_of(claim: Claim, cases: Sequence[Case]) -> list[Case]:
    """The ``cases`` that ``claim`` is about."""
    return [
        case for case in cases
        if claim.asks_for(case.model, item=case.item, dataset=case.dataset, system=case.system, subset=case.subset,
                          metric=case.metric, share=f"{case.share:g}")
    ]  # fmt: skip


def rows_of(claim: Claim, rows: pd.DataFrame) -> pd.DataFrame:
    """Those of the measured ``rows`` (columns item, model, subset, value …) that ``claim`` is about."""
    keep = [claim.asks_for(row["model"], item=row["item"], subset=row["subset"]) for _, row in rows.iterrows()]
    return rows[np.array(keep, dtype=bool)]


def decide(claim: Claim, cases: Sequence[Case], measured: pd.DataFrame | None = None, whole: bool = True) -> Outcome:
    """What the rule of ``claim`` makes of the evidence.

    Cases where neither arm learnt do not count, unless the rule asks about that or can do with it. Where fewer than
    half of the paper's cells count, the claim is untested; where some do not, of the paper's or of our trials, nothing
    is certain.

    Args:
        claim: what is decided.
        cases: all of a scale (`evidence.gather`).
        measured: rows of equation 8 and of cost.
        whole: whether cells of the paper's matrix and of the trials that are missing are counted.
    """
    question = Question(claim.models, claim.number)
    if claim.rule.of_rows:
        rows = measured if measured is not None else pd.DataFrame()
        own = rows_of(claim, rows) if len(rows) else rows
        return claim.rule.decide(question, own) if len(own) else untested("not measured at this scale")
    own = cases_of(claim, cases)
    if not own:
        return untested("no such runs at this scale")
    of_paper = len(_paper_cells(claim)) if whole else 0
    expected = of_paper + (len(_trial_pairs(claim)) if whole else 0)
    counted = own if claim.rule.of_learning or claim.rule.bounded else [c for c in own if c.learnt != BLANK]
    if not counted:
        return Outcome(word=NO_EVIDENCE, why=f"both arms have R² below {LEARNT} in all of these cases")
    cells = len({c.cell for c in counted if c.item not in OF_TRIALS})
    pairs = len({(c.item, c.subset, c.cell) for c in counted if c.item in OF_TRIALS})
    if 2 * cells < of_paper:
        return untested(f"{cells} of {of_paper} cells are there, with R² of {LEARNT} or more")
    return _with_missing(claim.rule.decide(question, counted), expected - cells - pairs, expected)


def _with_missing(outcome: Outcome, missing: int, expected: int) -> Outcome:
    """The ``outcome`` of a claim about ``expected`` cells, of which some are missing."""
    if missing <= 0:
        return outcome
    return replace(outcome, complete=False, why=f"{outcome.why}; {expected - missing} of {expected} cells count")


@cache
def _whole_matrix() -> tuple[tuple[str, Cell], ...]:
    """The item and cell of everything in the paper's figures and tables, by the paper's names."""
    names, out = paper_names("official"), []
    for item, part in PARTS.items():
        for cell in (pair.pretrained for pair in MATRIX[part.group](get_scale("paper"))):
            kind, _, system = cell.data.partition("/")
            dataset = names[label("official", kind)]
            out.append((item, (dataset, system, MODELS[cell.model].label, cell.share, cell.sigma)))
    return tuple(out)


def _paper_cells(claim: Claim) -> set[Cell]:
    """The cells of the paper's matrix that ``claim`` is about."""
    return {
        cell
        for item, cell in _whole_matrix()
        if claim.asks_for(cell[2], item=item, dataset=cell[0], system=cell[1], share=f"{cell[3]:g}")
    }


def _trial_pairs(claim: Claim) -> set[tuple[str, str, Cell]]:
    """The pairs of arms of the trials that ``claim`` is about, which no paper has: item, subset and cell."""
    return {
        (item, subset, cell)
        for item, subset, cell in _whole_trials()
        if claim.asks_for(cell[2], item=item, dataset=cell[0], system=cell[1], subset=subset, share=f"{cell[3]:g}")
    }


@cache
def _whole_trials() -> tuple[tuple[str, str, Cell], ...]:
    """Everything in the trials that the ledger asks, at the scale whose runs answer."""
    return tuple(trial_cells(LAPTOP))
