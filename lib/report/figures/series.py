"""Figures of errors along something: training steps, the share or number of labels, σ of the noise."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lib.report.figures.comparisons import (
    CUT,
    NOT_PRINTED,
    evidence_notes,
    flags,
    marks,
)
from lib.report.figures.style import ARMS, BLUE, COLUMN, GREY, MODEL_STYLES, ORANGE, SMALLEST
from lib.report.tables import paper_numbers
from lib.study.trials import PRETRAINED, SCRATCH

SHIFT = 1.06  # from one model's intervals to the next one's, so that they do not hide each other
LEAST = -30  # per cent, where the axis of improvements ends unless an interval reaches lower


def two_arms(curves: pd.DataFrame, title: str) -> Figure:
    """The test error by training step, a line an arm: columns ``from scratch`` and ``pre-trained``, indexed by step."""
    figure, ax = plt.subplots(figsize=(COLUMN, 1.9))
    for text, colour in ARMS.values():
        ax.plot(curves.index, curves[text], color=colour, marker="o", markersize=3, linewidth=1.2, label=text)
    ax.set(xlabel="step", ylabel="test MAE (kcal/mol)", title=title)
    ax.set_ylim(bottom=0)
    ax.legend(loc="lower left")
    return figure


def error_by_share(panels: Sequence[tuple[str, pd.DataFrame]], counts: Sequence[pd.Series], model: str) -> Figure:
    """Figure 4: test MAE, on a logarithmic axis, against the share of the training conformations; and improvements.

    The two errors that the paper prints for 5 % have neither a data set nor a unit there; they are drawn in the first
    panel and named so.

    Args:
        panels: title and rows of `tables.comparison_table`, a data set each.
        counts: training conformations by share, of each panel.
        model: what the figure calls it.
    """
    figure, axes = plt.subplots(len(panels), 2, figsize=(COLUMN, 0.9 + 1.35 * len(panels)), squeeze=False, sharex="row")
    figure.suptitle(model)
    lowest = pd.concat([rows[rows["pretrained"] == "improvement"]["low"] for _, rows in panels]).min()
    least = max(CUT, min(LEAST, lowest - 5))
    for (left, right), (title, table), count in zip(axes, panels, counts, strict=True):
        rows = table[table["metric"] == "mae"].sort_values("share")
        shares = sorted(rows["share"].unique())
        rows = rows.assign(place=rows["share"].map(shares.index))
        _errors(left, rows)
        gains = rows[rows["pretrained"] == "improvement"]
        if left is axes[0, 0]:
            gains = _with_printed_gain(gains)
        _improvements(right, gains, least)
        for ax in (left, right):
            ax.set_xticks(range(len(shares)), [f"{100 * s:g}\n{count[s]:,}" for s in shares])
            ax.set_xlim(-0.4, len(shares) - 0.6)
        left.set(title=" ", ylabel="test MAE\n(kcal/mol, log)")
        right.set_ylabel("reduction\nof MAE (%)")
        star = "*" * int((rows["n_seeds"] == 1).any())
        left.annotate(title + star, (0, 1), (-20, 4), "axes fraction", textcoords="offset points", in_layout=False)
    printed = _printed_errors(axes[0, 0])
    for ax in axes[-1]:
        ax.set_xlabel("% of the training\nset, and how many")
    together = pd.concat([table for _, table in panels])
    notes = [printed, "open mark: the paper", *evidence_notes(together[together["pretrained"] == "improvement"])]
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, title="\n".join(notes))
    return figure


def _errors(ax: Axes, rows: pd.DataFrame) -> None:
    for shift, (arm, (text, colour)) in zip((-0.05, 0.05), ARMS.items(), strict=True):  # so that both intervals show
        own = rows[rows["pretrained"] == arm]
        marks(ax, own, own["place"] + shift, "y", text, color=colour, marker="o")
        ax.plot(own["place"] + shift, own["value"], color=colour, linewidth=1.0)
    ax.set_yscale("log")
    ax.minorticks_off()
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    ax.yaxis.set_major_locator(plt.LogLocator(subs=(1, 2, 3, 5)))


def _improvements(ax: Axes, rows: pd.DataFrame, least: float) -> None:
    marks(ax, rows, rows["place"], "y", None, color="black", marker="o")
    flags(ax, rows, rows["place"], "y", "black", star=False)
    ax.plot(rows["place"], rows["paper_value"], "o", markersize=6.5, markerfacecolor="none", color="black")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set_ylim(least, 100)
    printed = rows.dropna(subset="paper_value")
    words = [
        f"{'> ' * (row.place > 0)}{row.paper_value:.3g} %" for row in printed.itertuples()
    ]  # of all data *more than*
    colour = "black" if words else GREY
    ax.set_title(f"paper: {', '.join(words) or NOT_PRINTED}", loc="right", fontsize=SMALLEST, color=colour)


def _few_labels() -> pd.DataFrame:
    """The paper's two errors with few labels, whose data set it does not name."""
    return paper_numbers().query("item == 'Figure 4' and dataset == '' and pretrained != 'improvement'")


def _with_printed_gain(gains: pd.DataFrame) -> pd.DataFrame:
    """``gains`` with the one that the paper's `_few_labels` make, at their share."""
    rows = _few_labels()
    errors, share = rows.set_index("pretrained")["value"], rows["share"].iloc[0]
    printed = gains["paper_value"].where(gains["share"] != share, 100 * (1 - errors["yes"] / errors["no"]))
    return gains.assign(paper_value=printed)


def _printed_errors(ax: Axes) -> str:
    """`_few_labels` as open marks in ``ax``, and the note on them."""
    rows = _few_labels()
    errors = rows.set_index("pretrained")["value"]
    for arm, (_, colour) in ARMS.items():
        ax.plot(0, errors[arm], "o", markersize=6.5, markerfacecolor="none", color=colour)
    ax.margins(y=0.12)  # room for the whole of a mark
    share = f"{100 * rows['share'].iloc[0]:g} %"
    return f"the paper at {share}: {errors['no']:g} and {errors['yes']:g}, data set and unit {NOT_PRINTED}"


def gain_by_labels(table: pd.DataFrame, title: str) -> Figure:
    """Test MAE and how much lower it is after pre-training, against the number of labels, a column for each schedule.

    Args:
        table: of `label_counts.label_count_table`.
        title: of the figure.
    """
    rows = table[table["metric"] == "mae"]
    schedules, counts = list(rows["schedule"].unique()), sorted(rows["labels"].unique())
    figure, axes = plt.subplots(2, len(schedules), figsize=(COLUMN, 3.6), sharex=True, sharey="row", squeeze=False)
    for (upper, lower), schedule in zip(axes.T, schedules, strict=True):
        upper.set(title=schedule, xscale="log", yscale="log")
        upper.minorticks_off()
        upper.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        upper.yaxis.set_major_locator(plt.LogLocator(subs=(1, 2, 3, 5)))
        for k, model in enumerate(rows["model"].unique()):
            own = rows[(rows["schedule"] == schedule) & (rows["model"] == model)]
            _errors_and_gains(upper, lower, own, model, SHIFT ** (k - 1))
        lower.axhline(0, color=GREY, linewidth=0.8)
        lower.set_xlabel("thousands of labels (log)")
        lower.set_xticks(counts, [f"{count / 1000:.3g}" for count in counts])
        lower.minorticks_off()
    axes[0, 0].set_ylabel("test MAE\n(kcal/mol, log)")
    axes[1, 0].set_ylabel("reduction\nof MAE (%)")
    notes = evidence_notes(rows[rows["unit"] == "%"])
    figure.suptitle(title)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, title="\n".join(notes))
    return figure


def _errors_and_gains(upper: Axes, lower: Axes, rows: pd.DataFrame, model: str, shift: float) -> None:
    """Of one model the errors of both arms in ``upper``, and in ``lower`` the gains, their labels times ``shift``."""
    colour, marker = MODEL_STYLES[model]
    gains = rows[rows["unit"] == "%"]
    pairs = rows[rows["labels"].isin(gains["labels"]) & (rows["unit"] != "%")].sort_values("labels")
    for arm, (text, _), style, filling in (
        (SCRATCH, ARMS["no"], ":", "none"),
        (PRETRAINED, ARMS["yes"], "-", colour),
    ):
        errors = pairs[pairs["arm"] == arm]
        upper.plot(errors["labels"], errors["value"], color=colour, marker=marker, markersize=3.5, linewidth=1,
                   linestyle=style, markerfacecolor=filling, label=f"{model}, {text}")  # fmt: skip
    places = gains["labels"] * shift
    marks(lower, gains, places, "y", None, color=colour, marker=marker)
    lower.plot(places, gains["value"], color=colour, linewidth=0.7)
    flags(lower, gains, places, "y", colour)


def error_by_sigma(table: pd.DataFrame, by_seed: pd.DataFrame, title: str, papers_best: float) -> Figure:
    """Figure 5: test RMSE and MAE against σ of the pre-training noise; a line across shows no pre-training.

    Seeds are shown one by one: intervals over two or three of them (in the table) would hide the curve.

    Args:
        table: of `tables.comparison_table`.
        by_seed: of `descriptions.by_seed`.
        title: the model and the data set.
        papers_best: the σ (Å) that the paper finds best.
    """
    figure, axes = plt.subplots(2, 1, figsize=(COLUMN, 4.2), sharex=True)
    figure.suptitle(title)
    for ax, metric in zip(axes, ("rmse", "mae"), strict=True):
        rows, one = table[table["metric"] == metric], by_seed.drop_duplicates(["pretrained", "sigma", "seed"])
        tuned = rows[rows["pretrained"] == "yes"].sort_values("sigma")
        places = {sigma: k for k, sigma in enumerate(tuned["sigma"])}
        ax.axhline(rows[rows["pretrained"] == "no"]["value"].iloc[0], color=GREY, label="from scratch, mean")
        for k, value in enumerate(one[~one["pretrained"]][metric]):
            ax.axhline(value, color=GREY, linewidth=0.7, linestyle=":", label=None if k else "each seed from scratch")
        ax.plot(range(len(tuned)), tuned["value"], color=BLUE, linewidth=1.2, marker="o", markersize=3.5,
                label="pre-trained, mean")  # fmt: skip
        points = one[one["pretrained"]]
        ax.plot(points["sigma"].map(places), points[metric], "_", color=BLUE, markersize=8,
                label="each seed, pre-trained")  # fmt: skip
        best = int(np.argmin(tuned["value"]))
        ax.plot(best, tuned["value"].iloc[best], marker="s", markersize=8, markerfacecolor="none", color=ORANGE,
                linestyle="", label="our lowest mean")  # fmt: skip
        if papers_best in places:
            ax.axvline(
                places[papers_best],
                color="black",
                linestyle="--",
                linewidth=0.8,
                zorder=0,
                label=f"the paper's best, {papers_best:g} Å",
            )
        ax.set_ylabel(f"test {metric.upper()} (kcal/mol)")
        ax.text(0.02, 0.96, f"the paper's errors: {NOT_PRINTED}", transform=ax.transAxes, va="top", color=GREY)
    axes[1].set_xticks(range(len(tuned)), [f"{s:g}" for s in tuned["sigma"]])
    axes[1].set_xlabel("σ of the pre-training noise (Å)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, columnspacing=1.0)
    return figure
