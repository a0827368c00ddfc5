"""Tables of what potentials are good for, in Markdown: dynamics, the laws that they keep, published benchmarks."""

import pandas as pd

from lib.paths import DATA
from lib.potentials.examination import CONSTANT
from lib.report.pages.markdown import markdown
from lib.report.pages.values import NO_BREAK, table

BENCHMARKS = DATA / "benchmarks"


def dynamics() -> str:
    """Drift and fluctuation of the total energy (`dynamics.csv`), the latter over the first picosecond too."""
    numbers = ["drift", "fluctuation", "fluctuation_at_first"]
    rows = [
        [row["potential"], f"{row['picoseconds']:g}", *(f"{row[name]:.2g}" for name in numbers)]
        for _, row in table("dynamics").iterrows()
    ]
    head = ["", "ps", "drift, meV/atom/ps", "fluctuation, meV/atom", "of the first picosecond"]
    return markdown(head, rows)


def soundness() -> str:
    """What each potential keeps, a row a model with its settings (`soundness.csv`)."""
    whole = table("soundness")
    whole = whole[whole["precision"] == "float32"]
    rows = []
    for (model, settings), own in whole.groupby(["model", "settings"], sort=False):
        value = {(row["test"], row["subject"]): row["value"] for _, row in own.iterrows()}
        bonds = own[own["test"] == "extrema"]["value"]
        rows.append(
            [
                str(model), str(settings) or "–",
                *(_short(value.get(key)) for key in (("test error (MAE)", "force"), ("law", "energy of copies"),
                                                     ("law", "a molecule 50 Å away"))),
                _short(next(iter(own[own["test"] == "pairs with a hole"]["value"]), None)),
                f"{int((bonds == 1).sum())} of {len(bonds)}" if len(bonds) else "",
                _short(value.get(("drifted over kinetic fluctuation", CONSTANT))),
                *(_short(value.get(("lasts", f"{kelvin} K"))) for kelvin in (300, 600)),
            ]
        )  # fmt: skip
    head = ["model", "settings", "force MAE, kcal/mol/Å", "copies, meV", "a molecule 50 Å away, meV/Å"]
    head += ["pairs with a hole", "bonds with one extremum", "drift in 10 ps over kinetic fluctuation"]
    head += ["300 K, ps", "600 K, ps"]
    return markdown(head, rows)


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


def _short(number: float | None) -> str:
    """Two digits, or nothing."""
    return "" if number is None else f"{number:.2g}"
