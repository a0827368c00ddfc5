"""Tables of the pages, in Markdown, each a pure function of figures/laptop/*.csv, the notebooks or a registry."""

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from lib.errors import look_up
from lib.models import MODELS, PAPER_MODELS
from lib.paths import DATA
from lib.report.pages.notebooks import NotebookPage, home_of_items, notebook_pages
from lib.report.pages.rehearsal import PARTS
from lib.report.pages.standing import standing
from lib.report.pages.values import (
    GAIN,
    MAE,
    NO_BREAK,
    errors,
    fine_tuning,
    gain,
    interval,
    labels,
    one,
    paper_gain,
    select,
    table,
)
from lib.report.tables import AVERAGE
from lib.study.equilibrium import SCRATCH
from lib.study.scales import SCALES

FEW = 9  # at most so many different words make a column of the ledger one that is counted and filtered by
UP = ".."  # from docs/ to the root
THUMBNAIL = 150  # pixels
BENCHMARKS = DATA / "benchmarks"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def models_of(stem: str, *where: str) -> list[str]:
    """The models of a table, in its order, the average last and only where it is there."""
    return list(select(stem, GAIN, MAE, *where)["model"].unique())


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


def _cell(stem: str, model: str, *where: str) -> str:
    """``7.53 → 7.17: 5 % [-2, 11]``; of an average the gain alone."""
    where = (MAE, f"model={model}", *where)
    return gain(stem, *where) if model == AVERAGE else f"{errors(stem, *where)}: {gain(stem, *where)}"


def counted_columns(ledger: pd.DataFrame) -> list[str]:
    """The columns of the ledger that hold one of a few words, by which claims are counted and filtered."""
    words = [
        name for name in ledger if pd.api.types.is_string_dtype(ledger[name]) and name not in ("unit", "note", "why")
    ]
    return [name for name in words if 2 <= _words(ledger[name]).nunique() <= FEW]


def _words(column: pd.Series) -> pd.Series:
    """What stands before a colon: the word, without its reason."""
    return column.fillna("").str.split(":").str[0]


def ledger_summary() -> str:
    """How many claims have which word, by column of the ledger."""
    ledger = table("claims")
    rows = [
        (name, ", ".join(f"{count} {word}" for word, count in _words(ledger[name]).value_counts().items() if word))
        for name in counted_columns(ledger)
    ]
    return markdown([f"of {len(ledger)} claims", "how many"], rows)


def ledger() -> str:
    """Every claim with our verdict, our number, why, and where it is decided; links are from docs/."""
    questions = pd.read_csv(DATA / "paper" / "claims.csv", dtype=str, keep_default_na=False)
    rows, items = [], questions.set_index("claim")["item"]
    claims = table("claims")
    words = [name for name in counted_columns(claims) if name != "place"]
    for _, claim in claims.iterrows():
        page, stem = home_of_items(items.get(claim["claim"], ""))
        ours = "" if pd.isna(claim["value"]) else f"{claim['value']:.4g}"
        if not pd.isna(claim["low"]):
            ours += f" [{claim['low']:.3g}, {claim['high']:.3g}]"
        ours = f"{ours} {claim['unit']}" if ours else "–"
        links = f"[{page.number}]({UP}/{page.executed}) [csv]({UP}/figures/laptop/{stem}.csv)"
        rest = ["" if pd.isna(claim[key]) else str(claim[key]) for key in (*words, "why")]
        cells = [claim["statement"], claim["place"], ours, *rest, links]
        rows.append([str(cell).replace("|", "\\|") for cell in cells])
    return markdown(["the paper claims", "place", "ours", *words, "why", "notebook, csv"], rows)


def undecided() -> str:
    """Claims that no number of ours can decide, with the reason."""
    path = DATA / "paper" / "undecided.csv"
    claims = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["place", "statement", "reason"])
    return markdown(["place", "the paper claims", "why not"], claims[["place", "statement", "reason"]].to_numpy())


def notebooks() -> str:
    """README's table: what each notebook asks, the paper's item, its executed copy and a thumbnail."""
    rows = [
        [_thumbnail(page), f"[{page.number}]({page.executed}) {page.title}", page.item] for page in notebook_pages()
    ]
    return markdown(["", "notebook, executed", "the paper's item"], rows)


def _thumbnail(page: NotebookPage) -> str:
    if not page.picture:
        return ""
    picture = f'<img src="{page.picture}" width="{THUMBNAIL}" alt="{page.number}">'
    return f'<a href="{page.executed}">{picture}</a>'


def files() -> str:
    """The index of figures/laptop: what each notebook writes."""
    rows = []
    for page in notebook_pages():
        stems = sorted(set(page.tables) | set(page.figures))
        listed = ", ".join(f"[`{s}`]({s}.csv)" if s in page.tables else f"[`{s}`]({s}.png)" for s in stems)
        rows.append([f"[{page.name}]({page.name}.ipynb)", listed])
    return markdown(["executed notebook", "tables (csv) and figures (png and svg of the same name)"], rows)


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
    """MAE lower by pre-training on each system, by model; ‡ one arm learnt, * one seed."""
    rows, models = [], models_of("figure3")
    for system in select("figure3", GAIN, MAE)["system"].unique():
        rows.append([system.replace("_", " "), *(_marked(system, model) for model in models)])
    return markdown(["", *models], rows)


def _marked(system: str, model: str) -> str:
    row = one("figure3", GAIN, MAE, f"system={system}", f"model={model}")
    if row["evidence"] == "no":
        return "a model learns nothing (bounded in the ledger)" if model == AVERAGE else "neither arm learns"
    return interval(row) + ("‡" if row["evidence"] != "yes" else "") + ("*" if row["n_seeds"] == 1 else "")


def by_value(stem: str, column: str, what: str, *where: str) -> str:
    """Errors and gains of a table along ``column``: σ, the share of labels, or their number."""
    values = select(stem, GAIN, MAE, *where)[column].unique()
    scale = 100 if column == "share" else 1
    rows = [[f"{scale * v:g}", *_pair(stem, f"{column}={v}", *where)] for v in values]
    return markdown([what, "MAE from scratch → pre-trained, kcal/mol", "lower by"], rows)


def _pair(stem: str, *where: str) -> list[str]:
    return [make(stem, MAE, *where) for make in (errors, gain)]


def forces() -> str:
    """Energies and forces with forces measured or learnt (`forces.csv`)."""
    rows = [
        [subset, *(f"{errors('forces', m, s)}: {gain('forces', m, s)}" for m in (MAE, "metric=force_mae"))]
        for subset in table("forces")["subset"].unique()
        for s in [f"subset={subset}"]
    ]
    return markdown(["trained on", "energies, kcal/mol", "forces, kcal/mol/Å"], rows)


def subsets() -> str:
    """Mini SPICE by subset and kind of atom, the average over models (`figure2cd.csv`)."""
    names = select("figure2cd", GAIN, MAE, f"model={AVERAGE}")["subset"].unique()
    rows = [[name, gain("figure2cd", MAE, f"model={AVERAGE}", f"subset={name}")] for name in names]
    return markdown(["mini SPICE", "MAE lower by, average of the models"], rows)


def spice() -> str:
    """Mini SPICE by model (`figure2cd.csv`)."""
    rows = [[model, _cell("figure2cd", model, "subset=all")] for model in models_of("figure2cd", "subset=all")]
    return markdown(["", "mini SPICE"], rows)


def wide() -> str:
    """The paper's widths (`table2_wide.csv`)."""
    rows = [
        [model, str(one("table2_wide", GAIN, MAE, f"model={model}")["n_seeds"]), _cell("table2_wide", model)]
        for model in models_of("table2_wide")
    ]
    return markdown(["", "seeds", "mini ANI-1x, the paper's widths"], rows)


def trials(stem: str, *where: str) -> str:
    """Every arm of the trials of a table: its seeds, its MAE, and how much lower that is than from scratch."""
    rows, own = [], select(stem, MAE, *where)
    alone = own[own["compared_with"].isna()]
    beside = own[own["compared_with"] == SCRATCH].set_index(["trial", "arm"])
    for _, row in alone.iterrows():
        key = (row["trial"], row["arm"])
        value, low, high = (f"{row[number]:.3g}" for number in ("value", "low", "high"))
        lower = interval(beside.loc[key]) if key in beside.index else ""
        question = row["trial"].partition(", ")[2]
        rows.append([question, row["arm"], str(row["n_seeds"]), f"{value} [{low}, {high}]", lower])
    return markdown(["", "arm", "seeds", "MAE, kcal/mol", "lower than from scratch"], rows)


def own() -> str:
    """The example of one's own molecules (`own_molecules.csv`)."""
    numbers = table("own_molecules")["labels"].unique()
    rows = [[str(n), *(f"{errors('own_molecules', m, f'labels={n}')}: {gain('own_molecules', m, f'labels={n}')}"
                       for m in (MAE, "metric=force_mae"))] for n in numbers]  # fmt: skip
    return markdown(["labels", "energies, kcal/mol", "forces, kcal/mol/Å"], rows)


def dynamics() -> str:
    """Drift and fluctuation of the total energy (`dynamics.csv`)."""
    rows = [
        [row["potential"], f"{row['picoseconds']:g}", f"{row['drift']:.2g}", f"{row['fluctuation']:.2g}"]
        for _, row in table("dynamics").iterrows()
    ]
    return markdown(["", "ps", "drift, meV/atom/ps", "fluctuation, meV/atom"], rows)


def soundness() -> str:
    """What each potential keeps, a row a model with its settings (`soundness.csv`)."""
    whole = table("soundness")
    whole = whole[whole["precision"] == "float32"]
    rows = []
    for (model, settings), own in whole.groupby(["model", "settings"], sort=False):
        value = {(row["test"], row["subject"]): row["value"] for _, row in own.iterrows()}
        bonds = own[own["test"] == "extrema"]["value"]
        drifted = own[own["test"] == "drifted over kinetic fluctuation"]["value"]
        rows.append(
            [
                str(model), str(settings) or "–",
                *(_short(value.get(key)) for key in (("test error (MAE)", "force"), ("law", "energy of copies"),
                                                     ("law", "a molecule 50 Å away"))),
                _short(next(iter(own[own["test"] == "pairs with a hole"]["value"]), None)),
                f"{int((bonds == 1).sum())} of {len(bonds)}" if len(bonds) else "",
                _short(None if drifted.empty else drifted.max()),
                *(_short(value.get(("lasts", f"{kelvin} K"))) for kelvin in (300, 600)),
            ]
        )  # fmt: skip
    head = ["model", "settings", "force MAE, kcal/mol/Å", "copies, meV", "a molecule 50 Å away, meV/Å"]
    head += ["pairs with a hole", "bonds with one extremum", "drift over kinetic fluctuation", "300 K, ps", "600 K, ps"]
    return markdown(head, rows)


def _short(number: float | None) -> str:
    """Two digits, or nothing."""
    return "" if number is None else f"{number:.2g}"


def benchmark(name: str) -> str:
    """RMSE (meV, of forces meV/Å) of our potentials on the test files of a published benchmark, with intervals over
    seeds, beside those that the literature prints, with its standard deviations (``data/benchmarks``).
    """
    ours = pd.read_csv(BENCHMARKS / f"{name}.csv")
    printed = pd.read_csv(BENCHMARKS / "literature.csv").query("benchmark == @name")
    arms, potentials = list(ours["arm"].unique()), list(printed["potential"].unique())
    cells = {(r.test, r.quantity, r.arm): f"{r.rmse:.1f}{NO_BREAK}[{r.low:.1f},{NO_BREAK}{r.high:.1f}]"
             for r in ours.itertuples()}  # fmt: skip
    cells |= {(r.test, r.quantity, r.potential): f"{r.rmse:g}{NO_BREAK}±{NO_BREAK}{r.deviation:g}"
              for r in printed.itertuples()}  # fmt: skip
    rows = [
        [f"`{test}`", quantity, *(cells.get((test, quantity, column), "") for column in (*arms, *potentials))]
        for test, quantity in dict.fromkeys(zip(ours["test"], ours["quantity"], strict=True))
    ]
    return markdown(["test file", "RMSE of", *arms, *potentials], rows)


def models() -> str:
    """The registry of models."""
    rows = [
        [f"`{name}`", entry.label, f"`{entry.module.__module__}`", entry.symmetry] for name, entry in MODELS.items()
    ]
    return markdown(["name", "model", "module", "symmetry"], rows)


def scales() -> str:
    """The registry of scales: epochs, labels, seeds."""
    rows = []
    for name, scale in SCALES.items():
        training = fine_tuning(name, "ani1x").training
        epochs = scale.pretrain(PAPER_MODELS[0], 0).training.epochs
        steps, seeds = f"{training.epochs} in batches of {training.batch_size}", ", ".join(map(str, scale.seeds))
        rows.append([f"`{name}`", scale.label, str(epochs), labels(name), steps, seeds])
    head = ["scale", "data", "pre-training epochs", "labels of ANI-1x", "fine-tuning epochs", "seeds"]
    return markdown(head, rows)


def rehearsal(part: str) -> str:
    """A table of the rehearsal at the paper's size (`rehearsal.PARTS`)."""
    head, rows = look_up(PARTS, part, "table of the rehearsal")()
    return markdown(head, rows)


TABLES: dict[str, Callable[..., str]] = {
    "benchmark": benchmark,
    "by-value": by_value,
    "control": control,
    "dynamics": dynamics,
    "files": files,
    "forces": forces,
    "ledger": ledger,
    "ledger-summary": ledger_summary,
    "md22": md22,
    "models": models,
    "notebooks": notebooks,
    "own": own,
    "rehearsal": rehearsal,
    "results": results,
    "scales": scales,
    "soundness": soundness,
    "spice": spice,
    "standing": standing,
    "subsets": subsets,
    "trials": trials,
    "undecided": undecided,
    "wide": wide,
}
