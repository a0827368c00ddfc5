"""The ledger of claims at a glance: what holds, of which size, and the number that decides with its interval."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.report.figures.style import BLUE, GREEN, ORANGE, SMALLEST
from lib.report.verdicts import (
    AGAINST,
    CERTAIN,
    LIKELY,
    NO_EVIDENCE,
    SEEN_ONCE,
    UNKNOWN,
    UNLIKELY,
    UNTESTED,
)  # fmt: skip

SIGN_COLOURS = {CERTAIN: GREEN, LIKELY: "#8FD3BF", UNKNOWN: "#F0E442", UNLIKELY: "#F2B48A", AGAINST: ORANGE,
                SEEN_ONCE: "#B9D9EE", NO_EVIDENCE: "#CCCCCC", UNTESTED: "#FFFFFF"}  # fmt: skip
PARTS = {
    "title": "title", "abstract": "abstract", "section 2.2": "2.2 networks", "section 2.3": "2.3 denoising",
    "section 3.2": "3.2 settings, code", "Table 2": "Table 2", "section 3.3": "3.3 energies",
    "section 3.4": "3.4 transferability", "section 3.5": "3.5 data efficiency", "section 3.6": "3.6 size of the noise",
}  # of the paper, in its order; a claim belongs to the first place that it names  # fmt: skip
ON_AXIS = ("%", "points")  # units of the axis; others are told in words alone
REACH = 100.0  # of the axis, both ways; what goes beyond ends in an arrow
ROW, WIDTH = 0.37, 7.0  # inches: a row of three lines, and the width of a page


def verdict_counts(ledger: pd.DataFrame, title: str) -> Figure:
    """How many claims of each part of the paper have which sign, of `ledger.ledger`."""
    counts = pd.crosstab(ledger["place"].str.partition(";")[0], ledger["sign"])
    signs = [sign for sign in SIGN_COLOURS if sign in counts]
    counts = counts.loc[sorted(counts.index, key=[*PARTS].index), signs].rename(PARTS)
    figure, ax = plt.subplots(figsize=(WIDTH, 1.6 + 0.24 * len(counts)))
    left = np.zeros(len(counts))
    for sign in counts:
        number = counts[sign].to_numpy()
        bars = ax.barh(counts.index, number, left=left, color=SIGN_COLOURS[sign], edgecolor="black", linewidth=0.5,
                       label=sign)  # fmt: skip
        ax.bar_label(bars, [str(n) if n else "" for n in number], label_type="center", fontsize=SMALLEST)
        left += number
    ax.set(xlabel="claims and questions", title=title)
    ax.invert_yaxis()
    ax.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.4, -0.2), frameon=False, fontsize=SMALLEST)
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)
    return figure


def verdicts(ledger: pd.DataFrame, title: str) -> Figure:
    """Each claim of `ledger.ledger` with its sign in colour and in words, its size, and its number as a mark and text.

    Open marks are the printed numbers.
    """
    height = 1.0 + ROW * len(ledger)
    ratios = [1.75, 1.2, 1.95]
    figure, (words, forest, numbers) = plt.subplots(1, 3, figsize=(WIDTH, height), sharey=True, width_ratios=ratios)
    for k, (_, row) in enumerate(ledger.iterrows()):
        words.barh(k, 1.0, height=0.9, color=SIGN_COLOURS[row["sign"]], edgecolor="black", linewidth=0.5)
        words.text(0.5, k, row["sign"], ha="center", va="center", fontsize=SMALLEST)
        words.text(1.06, k, textwrap.fill(row["size"], 16, break_on_hyphens=False), va="center", fontsize=SMALLEST)
        _mark(forest, k, row)
        numbers.text(0.0, k, _in_words(row), va="center", fontsize=SMALLEST)
    statements = [textwrap.fill(text.replace(" %", "\N{NO-BREAK SPACE}%"), 50) for text in ledger["statement"]]
    words.set_yticks(range(len(ledger)), statements, fontsize=SMALLEST)
    words.set(xlim=(0, 2.5), ylim=(len(ledger) - 0.4, -0.6), xticks=[0.5, 1.5])
    words.set_xticklabels(["sign", "size"])
    words.xaxis.tick_top()
    _axis(forest)
    numbers.set(xlim=(0, 1), xticks=[])
    for ax in (words, forest, numbers):
        sns.despine(ax=ax, left=True, bottom=True)
        ax.tick_params(length=0)
    figure.suptitle(title, fontsize="medium")
    return figure


def _axis(ax: Axes) -> None:
    """Zero and the unit, above the marks."""
    ax.axvline(0, color="black", linewidth=0.6)
    ax.set(xlim=(-REACH, REACH), xticks=[-100, 0, 100])
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xlabel("% or points\n(arrow: beyond;\nopen: printed)", fontsize=SMALLEST)
    ax.grid(axis="x", linewidth=0.3)


def _mark(ax: Axes, k: int, row: pd.Series) -> None:
    """The number of ``row`` with its interval on the axis, and the printed one."""
    if row["unit"] not in ON_AXIS or pd.isna(row["low"]):
        return
    low, high = np.clip([row["low"], row["high"]], -REACH, REACH)
    ax.plot([low, high], [k, k], color=BLUE, linewidth=1.4, solid_capstyle="butt")
    for place, marker, beyond in ((-REACH, "<", row["low"] < -REACH), (REACH, ">", row["high"] > REACH)):
        if beyond:
            ax.plot(place, k, marker, color=BLUE, markersize=4, clip_on=False)
    if abs(row["value"]) <= REACH:
        ax.plot(row["value"], k, "o", color=BLUE, markersize=4)
    if not pd.isna(row["printed"]):
        ax.plot(row["printed"], k, "D", markerfacecolor="none", markeredgecolor="black", markersize=4.5)


def _in_words(row: pd.Series) -> str:
    """The number of ``row`` with its interval, the printed one, and the seeds or networks behind it."""
    if pd.isna(row["value"]):
        return textwrap.fill(textwrap.shorten(row["why"], 52, placeholder=" …"), 28)
    number = f"{row['value']:.3g}"
    interval = "" if pd.isna(row["low"]) else f" [{row['low']:.3g}, {row['high']:.3g}]"
    unit = "" if row["unit"] == "1" else f" {row['unit']}"
    printed = "" if pd.isna(row["printed"]) else f"\nprinted {row['printed']:g}"
    return number + interval + unit + printed
