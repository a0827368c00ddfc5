"""Figures of comparisons: errors with and without pre-training, and the improvements beside the paper's."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.data.datasets import MD22_SYSTEMS
from lib.report.figures.style import ARMS, COLUMN, GREY, IMPROVEMENT, MODEL_STYLES
from lib.report.tables import AVERAGE, EVIDENCE, in_paper
from lib.training.metrics import metric_label

CUT = -100  # per cent, of the axis of improvements
SINGLE_SEED = "* one seed: the interval is over test data only"
PALE, WITHOUT_EVIDENCE = 0.3, "pale: no evidence, neither arm\nexplains 30 % of the variance"
ONE_ARM = "‡ one arm alone explains 30 %\nof the variance: the size counts for no claim"
OF_AVERAGE = "(pale or ‡ average: with such a model;\na pale one is bounded in the ledger)"
BORROWED = "(a starred average borrows others' spread over seeds)"
THE_PAPER, NOT_PRINTED, NOT_IN_PAPER = "open mark: the paper", "not printed", "not in the paper"
STYLES = MODEL_STYLES | {AVERAGE: ("black", "P")}
LINE = 0.19  # inches, of a line of bars with a name of 7 points beside it


def spread(rows: pd.DataFrame) -> np.ndarray:
    """How far the interval reaches down and up, (2, n)."""
    return np.abs(rows[["low", "high"]].to_numpy().T - rows["value"].to_numpy())


def strength(rows: pd.DataFrame) -> list[float]:
    """How strong each row's colour is: `PALE` where its comparison is no evidence."""
    return [PALE if word == "no" else 1.0 for word in rows["evidence"]]


def marks(ax: Axes, rows: pd.DataFrame, places: np.ndarray, along: str, label: str | None, **style: Any) -> None:
    """The values of ``rows`` with their intervals along the axis x or y, at ``places`` of the other."""
    for alpha in (PALE, 1.0):
        drawn = np.array(strength(rows), dtype=float) == alpha
        values, others = rows["value"].to_numpy()[drawn], np.asarray(places)[drawn]
        x, y = (values, others) if along == "x" else (others, values)
        reach: dict[str, Any] = {f"{along}err": spread(rows)[:, drawn]}
        ax.errorbar(x, y, **reach, linestyle="", markersize=3.5, capsize=1.5,
                    elinewidth=0.9, alpha=alpha, label=label if alpha == 1.0 else None, **style)  # fmt: skip


def flags(ax: Axes, rows: pd.DataFrame, places: np.ndarray, along: str, color: str, star: bool = True) -> None:
    """Beside the intervals of `marks`: a star for a single seed, ‡ where one arm alone learns."""
    for place, row in zip(np.asarray(places), rows.itertuples(), strict=True):
        text = "*" * (star and row.n_seeds == 1) + "‡" * (row.evidence == EVIDENCE[1])
        high = row.value if np.isnan(row.high) else row.high
        end, gap = ((high, place), (3, -1)) if along == "x" else ((place, high), (0, 1))
        across, up = ("left", "center") if along == "x" else ("center", "bottom")
        if text:
            ax.annotate(text, end, gap, textcoords="offset points", ha=across, va=up, color=color)


def evidence_notes(rows: pd.DataFrame) -> list[str]:
    """What the legend says of stars, pale colours and ‡, those that there are among ``rows`` of improvements."""
    notes = [SINGLE_SEED] * int((rows["n_seeds"] == 1).any()) + [WITHOUT_EVIDENCE] * int(PALE in strength(rows))
    return notes + [ONE_ARM] * int((rows["evidence"] == EVIDENCE[1]).any())


def arm_bars(
    panels: Sequence[tuple[str, pd.DataFrame]], by: str = "model", title: str | None = None, one_scale: bool = False
) -> Figure:
    """Errors from scratch and pre-trained with 95 % intervals, and beside them the improvements and the paper's.

    Args:
        panels: name and rows of `tables.comparison_table` of one metric, a panel each.
        by: the column whose values stand along the axis.
        title: above all panels: the data set, or the model.
        one_scale: the same axis of errors in all panels.

    A panel without errors (an average over models) has improvements alone.
    """
    counts = [max(2, table[by].nunique()) for _, table in panels]
    labels = [_labels(table) for _, table in panels]
    height = 0.75 + LINE * sum(counts) + 0.6 * len(panels) + 0.2 * len(set(labels))
    figure, axes = plt.subplots(
        len(panels), 2, figsize=(COLUMN, height), squeeze=False, height_ratios=counts, sharey="row"
    )
    figure.suptitle(title or "")
    longest = max(_longest(table) for _, table in panels)
    limits = _limits(pd.concat([_improvements(table) for _, table in panels]))
    for k, ((left, right), (name, table)) in enumerate(zip(axes, panels, strict=True)):
        names = list(table[by].unique())
        _bars(left, table, by, names)
        left.set_xlim(0, (longest if one_scale else _longest(table)) or 1.0)
        _improvement_marks(right, _improvements(table), by, names)
        right.set_xlim(limits)
        left.set_yticks(range(len(names)), _names(table, by, names))
        left.set_ylim(len(names) - 0.4, -0.6)
        left.set_title(" ")
        left.annotate(name, (0, 1), (-20, 4), "axes fraction", textcoords="offset points", in_layout=False)
        below = labels[k + 1] if k + 1 < len(panels) else (None, None)
        for ax, text, next_text in zip((left, right), labels[k], below, strict=True):
            ax.set_xlabel(text if text != next_text else "")
            ax.tick_params(labelbottom=True)
        if not labels[k][0]:
            left.spines[["left", "bottom"]].set_visible(False)
            left.tick_params(length=0)
            left.set_xticks([])
    _finish(figure, axes[0, 0], [table for _, table in panels])
    return figure


def _improvements(table: pd.DataFrame) -> pd.DataFrame:
    """The improvements; an average of which a model learnt nothing has no interval here: the ledger bounds it."""
    rows = table[table["pretrained"] == "improvement"].copy()
    rows.loc[(rows["model"] == AVERAGE) & (rows["evidence"] == EVIDENCE[0]), ["low", "high"]] = np.nan
    return rows


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Of the axis of improvements, with room for `flags`; intervals that reach below `CUT` are cut."""
    low, high = min(rows["low"].min(), 0.0), np.fmax(rows["high"].max(), rows["paper_value"].max())
    return max(low, CUT) - 5, high + (15 if (rows["evidence"] == EVIDENCE[1]).any() else 5)


def _longest(table: pd.DataFrame) -> float:
    """Where the axis of errors ends; 0 where there are none."""
    return 1.05 * table[table["pretrained"] != "improvement"]["high"].to_numpy().max(initial=0.0)


def _labels(table: pd.DataFrame) -> tuple[str, str]:
    """Of the axes of errors, where there are any, and of improvements."""
    errors = table[table["pretrained"] != "improvement"]
    metric = metric_label(table["metric"].iloc[0])
    of_errors = f"test {metric}\n({errors['unit'].iloc[0].replace('angstrom', 'Å')})" if len(errors) else ""
    return of_errors, f"{metric} reduction by\npre-training (%)"


def _names(table: pd.DataFrame, by: str, names: Sequence[str]) -> list[str]:
    """Names on the axis, systems by the paper's names; a star marks a single seed."""
    single = table.groupby(by)["n_seeds"].min() == 1
    return [f"{MD22_SYSTEMS.get(name, name)}{'*' * int(single[name])}" for name in names]


def _bars(ax: Axes, table: pd.DataFrame, by: str, names: Sequence[str]) -> None:
    for shift, (arm, (text, colour)) in zip((-0.19, 0.19), ARMS.items(), strict=True):
        own = table[table["pretrained"] == arm]
        places = np.array([names.index(name) for name in own[by]]) + shift
        bars = ax.barh(places, own["value"], 0.36, xerr=spread(own), color=colour, label=text,
                       error_kw={"capsize": 1.5, "linewidth": 0.9})  # fmt: skip
        for bar, alpha in zip(bars, strength(own), strict=True):
            bar.set_alpha(alpha)


def _improvement_marks(ax: Axes, rows: pd.DataFrame, by: str, names: Sequence[str]) -> None:
    """Our improvements as filled marks, the paper's as open ones, its numbers in words beside the panel."""
    places = np.array([names.index(name) for name in rows[by]])
    marks(ax, rows, places, "x", None, color="black", marker="o")
    flags(ax, rows, places, "x", "black", star=False)
    ax.plot(rows["paper_value"], places, "o", markersize=6.5, markerfacecolor="none", color="black")
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    edge = ax.get_yaxis_transform()
    if rows["paper_value"].isna().all():
        ax.text(1.1, (len(names) - 1) / 2, _no_number(rows), transform=edge, rotation=90, va="center", color=GREY)
        return
    ax.annotate("paper", (1.04, 1), (0, 4), "axes fraction", textcoords="offset points")
    for place, value in zip(places, rows["paper_value"], strict=True):
        text, colour = (NOT_PRINTED, GREY) if pd.isna(value) else (f"{value:.3g} %", "black")
        ax.text(1.04, place, text, transform=edge, va="center", color=colour)


def _no_number(rows: pd.DataFrame) -> str:
    """What stands in place of the paper's number: it treats the case and prints none, or it does not treat it."""
    return NOT_PRINTED if in_paper(rows).any() else NOT_IN_PAPER


def _finish(figure: Figure, ax: Axes, tables: Sequence[pd.DataFrame]) -> None:
    """The legend under the panels, and what a star, an open mark or a pale colour means where there is one."""
    handles, labels = ax.get_legend_handles_labels()
    together = pd.concat(tables)
    notes = [THE_PAPER] * int(together["paper_value"].notna().any())
    gains = _improvements(together)
    averages = gains[gains["model"] == AVERAGE]
    notes += evidence_notes(gains)
    several = (gains[gains["model"] != AVERAGE]["n_seeds"] > 1).any()  # whose spread can be borrowed
    notes += [BORROWED] * int(several and (averages["n_seeds"] == 1).any())
    notes += [OF_AVERAGE] * int((averages["evidence"] != EVIDENCE[-1]).any())
    notes += [f"intervals are cut at {CUT} %"] * int((gains["low"] < CUT).any())
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)),
                           title="\n".join(notes) or None, columnspacing=1.0, handletextpad=0.4)  # fmt: skip
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1.0)


def gains(table: pd.DataFrame, by: str, title: str) -> Figure:
    """The improvement of MAE in per cent with its 95 % interval, by the column ``by``, a colour a model.

    A star beside an interval marks a single seed; an open mark is the improvement that the paper prints, or that
    follows from its errors.
    """
    rows = _improvements(table[table["metric"] == "mae"])
    models, groups = [m for m in STYLES if m in set(rows["model"])], list(rows[by].unique())
    figure, ax = plt.subplots(figsize=(COLUMN, 0.9 + 0.14 * (len(models) + 0.6) * len(groups)))
    for k, model in enumerate(models):
        own, (colour, marker) = rows[rows["model"] == model], STYLES[model]
        places = np.array([groups.index(g) for g in own[by]]) + 0.8 * (k - (len(models) - 1) / 2) / len(models)
        marks(ax, own, places, "x", model, color=colour, marker=marker)
        ax.plot(own["paper_value"], places, marker, markersize=7, markerfacecolor="none", color=colour)
        flags(ax, own, places, "x", colour)
    printed = rows.groupby(by)["paper_value"].apply(lambda values: values.notna().any())
    for k, group in enumerate(groups):
        if not printed[group]:
            text = {NOT_PRINTED: f"paper:\n{NOT_PRINTED}", NOT_IN_PAPER: "not in\nthe paper"}
            words = text[_no_number(rows[rows[by] == group])]
            ax.text(1.0, k, words, transform=ax.get_yaxis_transform(), va="center", color=GREY)
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set_yticks(range(len(groups)), groups)
    ax.set(xlim=_limits(rows), ylim=(len(groups) - 0.5, -0.5), xlabel=IMPROVEMENT, title=title)
    _finish(figure, ax, [rows])
    return figure
