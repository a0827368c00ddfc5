"""Tables of errors with and without pre-training, in Markdown, each of one of figures/laptop/*.csv.

Beside an improvement ‡ says that one arm alone learnt, a star that there is one seed.
"""

import pandas as pd

from lib.data.datasets import MD22_SYSTEMS
from lib.report.audit import in_short
from lib.report.label_counts import by_count
from lib.report.pages.markdown import markdown
from lib.report.pages.values import GAIN, MAE, errors, gain, interval, one, paper_gain, select, table
from lib.report.tables import AVERAGE
from lib.study.audit import audit_trials
from lib.study.equilibrium import SCRATCH
from lib.study.scales import get_scale


def results() -> str:
    """MAE from scratch → pre-trained and the gain, of each model, beside the paper's gain."""
    known = ("subset=unknown molecules",)
    rows = []
    for model in models_of("table2"):
        cells = [_cell("table2", model, f"dataset={name}") for name in ("ANI-1", "ANI-1x")]
        printed = [paper_gain(name, model) for name in ("ANI-1", "ANI-1x")]
        rows.append([model, cells[0], printed[0], cells[1], printed[1], _cell("figure2ab", model, *known)])
    head = ["", "mini ANI-1", "the paper", "mini ANI-1x", "the paper", "mini ISO17, unknown isomers"]
    return markdown(head, rows)


def control() -> str:
    """More compute from scratch beside pre-training (`table2_control.csv`)."""
    items = list(select("table2_control", GAIN, MAE)["item"].unique())
    rows = [
        [model, *(_cell("table2_control", model, f"item={item}") for item in items)]
        for model in models_of("table2_control", f"item={items[0]}")
        if model != AVERAGE
    ]
    return markdown(["", *(item.removeprefix("Table 2, ") for item in items)], rows)


def md22() -> str:
    """MAE lower by pre-training on each system, by model."""
    rows, models = [], models_of("figure3")
    for system in select("figure3", GAIN, MAE)["system"].unique():
        cells = (_gain("figure3", MAE, f"system={system}", f"model={model}") for model in models)
        rows.append([MD22_SYSTEMS[system], *cells])
    return markdown(["", *models], rows)


def by_value(stem: str, column: str, what: str, *where: str) -> str:
    """Errors and gains of a table along ``column``: σ, the share of labels, or their number."""
    values = select(stem, GAIN, MAE, *where)[column].unique()
    scale = 100 if column == "share" else 1
    rows = [[f"{scale * v:g}", *_pair(stem, f"{column}={v}", *where)] for v in values]
    return markdown([what, "MAE from scratch → pre-trained, kcal/mol", "lower by"], rows)


def forces() -> str:
    """Energies and forces with forces measured or learnt (`forces.csv`)."""
    rows = [
        [subset, *(f"{errors('forces', m, s)}: {_gain('forces', m, s)}" for m in (MAE, "metric=force_mae"))]
        for subset in table("forces")["subset"].unique()
        for s in [f"subset={subset}"]
    ]
    return markdown(["trained on", "energies, kcal/mol", "forces, kcal/mol/Å"], rows)


def subsets() -> str:
    """Mini SPICE by subset and kind of atom, the average over models (`figure2cd.csv`)."""
    names = select("figure2cd", GAIN, MAE, f"model={AVERAGE}")["subset"].unique()
    rows = [[name, _gain("figure2cd", MAE, f"model={AVERAGE}", f"subset={name}")] for name in names]
    return markdown(["mini SPICE", "MAE lower by, average of the models"], rows)


def by_model(stem: str, what: str, *where: str) -> str:
    """Each model of a table with its number of seeds; ``what``: over its column of errors."""
    rows = [
        [model, str(one(stem, GAIN, MAE, f"model={model}", *where)["n_seeds"]), _cell(stem, model, *where)]
        for model in models_of(stem, *where)
    ]
    return markdown(["", "seeds", what], rows)


def own() -> str:
    """The example of one's own molecules (`own_molecules.csv`)."""
    numbers = table("own_molecules")["labels"].unique()
    rows = [[str(n), *(f"{errors('own_molecules', m, f'labels={n}')}: {gain('own_molecules', m, f'labels={n}')}"
                       for m in (MAE, "metric=force_mae"))] for n in numbers]  # fmt: skip
    return markdown(["labels", "energies, kcal/mol", "forces, kcal/mol/Å"], rows)


def trials(stem: str, *where: str) -> str:
    """Every arm of the trials of a table: its seeds, its MAE, and how much lower that is than from scratch."""
    rows, own = [], select(stem, MAE, *where)
    alone = own[own["compared_with"].isna()]
    beside = own[own["compared_with"] == SCRATCH].set_index(["trial", "arm"])
    for _, row in alone.iterrows():
        key = (row["trial"], row["arm"])
        value, low, high = (f"{row[number]:.3g}" for number in ("value", "low", "high"))
        lower = _marked(beside.loc[key]) if key in beside.index else ""
        question = row["trial"].partition(", ")[2]
        rows.append([question, row["arm"], str(row["n_seeds"]), f"{value} [{low}, {high}]", lower])
    return markdown(["", "arm", "seeds", "MAE, kcal/mol", "lower than from scratch"], rows)


def differences(stem: str, *where: str) -> str:
    """Pairs of arms that `trials` leaves out: how much lower the MAE of one is than that of another, not scratch."""
    own = select(stem, MAE, *where)
    own = own[own["compared_with"].notna() & (own["compared_with"] != SCRATCH)]
    rows = [
        [
            row["trial"].partition(", ")[2],
            row["arm"],
            row["compared_with"],
            str(row["n_seeds"]),
            _marked(row),
            row["sign"],
        ]
        for _, row in own.iterrows()
    ]
    return markdown(["", "arm", "compared with", "seeds", "MAE lower by", "a gain is (the ledger's word)"], rows)


def audit() -> str:
    """The gain of pre-training as the paper says and as the released code does, one departure a row (`audit.csv`)."""
    short = in_short(audit_trials(get_scale("laptop")), table("audit")).reset_index()
    return markdown(list(short.columns), short.to_numpy().tolist())


def label_counts() -> str:
    """Errors and gains by model and number of labels, on both schedules (`label_counts.csv`)."""
    text = by_count(table("label_counts"))
    rows = [[model, f"{labels:,}", *cells] for (model, labels), cells in zip(text.index, text.to_numpy(), strict=True)]
    return markdown(["", "labels", *text.columns], rows)


def models_of(stem: str, *where: str) -> list[str]:
    """The models of a table, in its order, the average last and only where it is there."""
    return list(select(stem, GAIN, MAE, *where)["model"].unique())


def _cell(stem: str, model: str, *where: str) -> str:
    """``7.53 → 7.17: 5 % [-2, 11]``; of an average the gain alone."""
    where = (MAE, f"model={model}", *where)
    return _gain(stem, *where) if model == AVERAGE else f"{errors(stem, *where)}: {_gain(stem, *where)}"


def _pair(stem: str, *where: str) -> list[str]:
    return [make(stem, MAE, *where) for make in (errors, _gain)]


def _gain(stem: str, *where: str) -> str:
    """How much lower an error is after pre-training, with its marks; in words where no number says anything."""
    row = one(stem, GAIN, *where)
    if row["evidence"] == "no" and row["model"] == AVERAGE:
        return "a model learns nothing (bounded in the ledger)"
    return _marked(row)


def _marked(row: pd.Series) -> str:
    """How much lower an error is than the one it is compared with, with its marks; words where neither arm learns."""
    if row["evidence"] == "no":
        return "neither arm learns"
    return interval(row) + ("‡" if row["evidence"] != "yes" else "") + ("*" if row["n_seeds"] == 1 else "")
