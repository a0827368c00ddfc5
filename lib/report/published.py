"""Table 2 on published DFT data beside the same on the mini suite, and whether the level of theory changes a verdict.

Everything comes from runs that are recorded or stored; nothing is trained, and models without such runs are left out.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from lib.chemistry.reference_energies import GFN2_XTB, WB97X
from lib.data.datasets import FAMILIES
from lib.models import MODELS, PAPER_MODELS
from lib.report.prose import names
from lib.report.trials import trial_table
from lib.report.verdicts import AGAINST, CERTAIN, LIKELY, UNLIKELY
from lib.study.arms import LEAVE_OUT, available_arms
from lib.study.matrix import pairs
from lib.study.published import LABELS, MINI_START, PUBLISHED_START, SCRATCH, Labels, published_trial
from lib.study.scale import Scale
from lib.study.scales import ALL_LABELS, LAPTOP
from lib.study.trials import Trial, TrialArm, arms_of

DFT, XTB = WB97X.replace("w", "ω"), GFN2_XTB
MINI_SCALES: dict[str, Scale] = {"ani1x": LAPTOP, "ani1": LAPTOP, "ani1_all": ALL_LABELS}  # by key of `LABELS`
NUMBERS = {"ani1x": "800 or 1,000", "ani1": "1,000", "ani1_all": "80 % of all"}  # of labels, at both levels of theory
ITEM = "Published data"  # of the ledger
MINI = "Table 2, mini suite"  # in the place of a trial's name
NO_RUNS = "No runs on published data are recorded or stored."
FACTS = ["dataset", "labels", "model", "level"]
STARTS_BY_LEVEL = ((XTB, MINI_START), (DFT, PUBLISHED_START), (DFT, MINI_START))
GAINS, DOES_NOT = (CERTAIN, LIKELY), (AGAINST, UNLIKELY)
REVERSED = "verdict reversed"
CHANGES, SAME, OPEN = "yes", "no", "open"


def table2_published(models: Sequence[str] = PAPER_MODELS) -> pd.DataFrame:
    """Errors and gains of ``models`` on the sets of labels of `published.LABELS`, at both levels of theory.

    Returns:
        Rows of `FACTS` and of `trials.TRIAL_COLUMNS`; ``dataset`` and ``level`` say which data: with GFN2-xTB they are
        the mini suite's. Of ANI-1x 1,000 labels are the mini suite's, 800 the published ones.
    """
    parts = []
    for key, labels in LABELS.items():
        for model in models:
            trial = published_trial(model, labels)
            facts = {"dataset": FAMILIES[labels.data].label, "labels": NUMBERS[key], "model": MODELS[model].label}
            parts.append(_rows(facts | {"level": DFT}, trial, arms_of(trial, LEAVE_OUT)))
            parts += [_rows(facts | {"level": XTB}, trial, a) for a in _mini_arms(MINI_SCALES[key], labels, model)]
    known = [part for part in parts if len(part)]  # an empty one would make objects of the numbers
    return pd.concat(known or parts[:1], ignore_index=True)


def _mini_arms(scale: Scale, labels: Labels, model: str) -> list[dict[str, TrialArm]]:
    """Both arms of ``model`` on the mini suite, as arms of a trial; none where their runs are missing."""
    return [
        {
            name: TrialArm(name, arm.learning_rate, arm.at_edge, {r.config.seed: r for r in arm.results})
            for name, arm in ((SCRATCH, pair.scratch), (MINI_START, pair.pretrained))
        }
        for pair in available_arms(scale, pairs([model], [labels.data]))
    ]


def _rows(facts: dict[str, str], trial: Trial, arms: dict[str, TrialArm]) -> pd.DataFrame:
    table = trial_table(trial if facts["level"] == DFT else replace(trial, name=MINI), arms, item=ITEM)
    return pd.concat([pd.DataFrame([facts] * len(table), columns=FACTS), table], axis=1)


def side_by_side(table: pd.DataFrame, metric: str = "mae") -> pd.DataFrame:
    """For reading: by how many per cent each start lowers the error, model by model, and whether a verdict is reversed.

    The last column compares the two levels of theory, each with layers pre-trained on its own geometries
    (`verdict_reversed`). A star marks a single seed. Cases without a run on published data are left out.
    """
    rows = gains(table, metric)
    columns = {(level, start): f"{level}, {start}" for level, start in STARTS_BY_LEVEL}
    out = []
    for facts, group in rows.groupby(["dataset", "labels", "model"], sort=False):
        by_start = {(row["level"], row["arm"]): row for _, row in group.iterrows()}
        if not any(level == DFT for level, _ in by_start):
            continue
        signs = [by_start[key]["sign"] if key in by_start else "" for key in STARTS_BY_LEVEL[:2]]
        cells = {text: _cell(by_start[key]) if key in by_start else "" for key, text in columns.items()}
        out.append(dict(zip(FACTS[:3], facts, strict=True)) | cells | {REVERSED: verdict_reversed(*signs)})
    return pd.DataFrame(out, columns=[*FACTS[:3], *columns.values(), REVERSED]).set_index(FACTS[:3])


def gains(table: pd.DataFrame, metric: str = "mae") -> pd.DataFrame:
    """The rows of `table2_published` that are gains over `SCRATCH` in ``metric``."""
    return table[(table["compared_with"] == SCRATCH) & (table["metric"] == metric)]


def verdict_reversed(first: str, second: str) -> str:
    """Whether two signs (`verdicts.SIGNS`) contradict each other: `CHANGES`, `SAME`, or `OPEN` where one decides
    nothing.
    """
    words = {GAINS: 1, DOES_NOT: -1}
    directions = [next((d for group, d in words.items() if sign in group), 0) for sign in (first, second)]
    if 0 in directions:
        return OPEN
    return SAME if directions[0] == directions[1] else CHANGES


def _cell(row: pd.Series) -> str:
    star = "*" if row["n_seeds"] == 1 else ""
    return f"{row['value']:.0f} % [{row['low']:.0f}, {row['high']:.0f}]{star}, {row['sign']}"


def finding(table: pd.DataFrame) -> str:
    """What the level of theory changes, in a sentence or two, from the numbers of ``table``."""
    shown = side_by_side(table).reset_index()
    if shown.empty:
        return NO_RUNS
    by_word = {word: shown[shown[REVERSED] == word] for word in (CHANGES, SAME, OPEN)}
    cases = {w: names(f"{r['model']} on {r['dataset']} ({r['labels']} labels)" for _, r in rows.iterrows())
             for w, rows in by_word.items()}  # fmt: skip
    return (
        f"Verdicts that the level of theory reverses: {cases[CHANGES]}; that point the same way, certain or likely, at "
        f"both: {cases[SAME]}; undecided at one of the levels at least: {cases[OPEN]}."
    )
