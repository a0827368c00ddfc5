"""Numbers for sentences, each from one row of a table in figures/laptop, or measured once and registered.

Rows are chosen as ``KEY=VALUE``: ``model=EGNN dataset=ANI-1x metric=mae``. ``dataset`` is the paper's name, so that the
mini suite's table answers.
"""

from collections.abc import Callable, Mapping
from functools import cache

import pandas as pd
import yaml

from lib.data.datasets import paper_names
from lib.errors import look_up
from lib.models import PAPER_MODELS
from lib.paths import DATA, ROOT
from lib.report.prose import rounded
from lib.report.published import DFT
from lib.report.tables import paper_numbers
from lib.runs.config import RunConfig
from lib.study import Cell, get_scale

LAPTOP = ROOT / "figures" / "laptop"
MEASURED = ROOT / "docs" / "measured.yml"
NO_BREAK = "\u00a0"
MAE, GAIN = "metric=mae", "pretrained=improvement"


@cache
def table(stem: str) -> pd.DataFrame:
    """``figures/laptop/<stem>.csv`` with the paper's names of data sets.

    Raises:
        ValueError: there is no such table.
    """
    path = LAPTOP / f"{stem}.csv"
    if not path.exists():
        raise ValueError(f"figures/laptop/{stem}.csv is missing: run make reproduce, or name a table that is there")
    rows = pd.read_csv(path)
    return rows.assign(dataset=rows["dataset"].replace(paper_names("mini"))) if "dataset" in rows else rows


def select(stem: str, *where: str) -> pd.DataFrame:
    """The rows of table ``stem`` where every ``KEY=VALUE`` holds."""
    rows = table(stem)
    for condition in where:
        key, _, value = condition.partition("=")
        column = look_up({name: rows[name] for name in rows}, key, f"column of {stem}.csv")
        rows = rows[column == float(value) if pd.api.types.is_numeric_dtype(column) else column.fillna("") == value]
    return rows


def one(stem: str, *where: str) -> pd.Series:
    """The only row of table ``stem`` where every ``KEY=VALUE`` holds.

    Raises:
        ValueError: none, or several.
    """
    rows = select(stem, *where)
    if len(rows) != 1:
        raise ValueError(f"{stem}.csv has {len(rows)} rows with {list(where)}, expected one: add or mend a condition")
    return rows.iloc[0]


def interval(row: pd.Series) -> str:
    """``23 % [15, 31]``, without a place where a line may break; of an interval that is not known, the value alone."""
    plain = str(row["unit"]) == "1"  # a correlation, say
    value, low, high = (f"{row[k]:.2f}" if plain else rounded(row[k]) for k in ("value", "low", "high"))
    words = [value] if plain else [value, row["unit"]]
    return NO_BREAK.join(words if pd.isna(row["low"]) else [*words, f"[{low},", f"{high}]"])


def gain(stem: str, *where: str) -> str:
    """How much lower an error is after pre-training, with its 95 % interval."""
    return interval(one(stem, "pretrained=improvement", *where))


def published_gain(model: str) -> str:
    """How much lower the MAE of ``model`` is on published ANI-1x after pre-training on published geometries."""
    arms = ("arm=published geometries", "compared_with=scratch")
    return interval(one("table2_published", MAE, *arms, f"level={DFT}", "dataset=ANI-1x", f"model={model}"))


def errors(stem: str, *where: str) -> str:
    """``7.53 → 7.17``: from scratch and pre-trained."""
    scratch, tuned = (one(stem, f"pretrained={arm}", *where)["value"] for arm in ("no", "yes"))
    return f"{scratch:.2f}{NO_BREAK}→{NO_BREAK}{tuned:.2f}"


def number(stem: str, column: str, digits: str, *where: str) -> str:
    """One number of a table, with so many decimals."""
    return f"{float(one(stem, *where)[column]):.{int(digits)}f}"


def estimate(stem: str, digits: str, *where: str) -> str:
    """``0.56 [0.50, 0.62]``: a number that is no per cent, with its interval and so many decimals."""
    row = one(stem, *where)
    numbers = (round(float(row[key]), int(digits)) + 0.0 for key in ("value", "low", "high"))  # no minus before zero
    value, low, high = (f"{number:.{int(digits)}f}" for number in numbers)
    return NO_BREAK.join([value, f"[{low},", f"{high}]"])


def verdict(claim: str) -> str:
    """The sign that the ledger gives ``claim``."""
    return str(one("claims", f"claim={claim}")["sign"])


def paper_gain(dataset: str, model: str, metric: str = "mae") -> str:
    """The improvement that the paper prints, or that follows from the errors that it prints."""
    rows = paper_numbers()
    rows = rows[(rows["dataset"] == dataset) & (rows["model"] == model) & (rows["metric"] == metric)]
    rows = rows[(rows["pretrained"] == "improvement") & (rows["share"] == 1)]
    if len(rows) != 1:
        raise ValueError(f"data/paper has {len(rows)} improvements for {dataset}, {model}, {metric}; expected one")
    return f"{rows['value'].iloc[0]:.1f}{NO_BREAK}%"


@cache
def _measured() -> Mapping[str, Mapping[str, str]]:
    return yaml.safe_load(MEASURED.read_text(encoding="utf-8"))


def measured(name: str) -> str:
    """What ``docs/measured.yml`` says was measured; it says on what machine, how and when too."""
    return str(look_up(_measured(), name, "measurement")["text"])


def claims_count() -> str:
    """How many claims the ledger has."""
    return str(len(table("claims")))


def recorded_runs(scale: str) -> str:
    """How many runs of ``scale`` are recorded."""
    return str(len(list((DATA / "results" / scale).glob("*.json.gz"))))


def best_sigma() -> str:
    """The noise, Å, after which the MAE is lowest (Figure 5)."""
    rows = select("figure5", "pretrained=yes", "metric=mae")
    return f"{rows.loc[rows['value'].idxmin(), 'sigma']:g}"


def labels(scale: str, data: str = "ani1x") -> str:
    """How many labelled conformations of ``data`` train at ``scale``."""
    limit = fine_tuning(scale, data).limits.train
    return "all of the split" if limit is None else f"{limit:,}"


def fine_tuning(scale: str, data: str) -> RunConfig:
    """A run on ``data`` at ``scale``, for its settings; its model and learning rate do not matter."""
    return get_scale(scale).finetune(Cell(PAPER_MODELS[0], data, pretrained=False), learning_rate=1e-3, seed=0)


VALUES: dict[str, Callable[..., str]] = {
    "best-sigma": best_sigma,
    "claims": claims_count,
    "errors": errors,
    "estimate": estimate,
    "gain": gain,
    "labels": labels,
    "measured": measured,
    "number": number,
    "paper-gain": paper_gain,
    "published-gain": published_gain,
    "recorded-runs": recorded_runs,
    "verdict": verdict,
}
