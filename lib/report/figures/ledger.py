"""The ledger of claims at a glance."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import textwrap
from matplotlib.figure import Figure
from lib.report.figures.style import COLUMN, GREEN, ORANGE
from lib.report.rules import DIRECTION, FAILED, NO_EVIDENCE, REPRODUCED, UNDECIDED, UNTESTED

VERDICT_COLOURS = {REPRODUCED: GREEN, DIRECTION: "#56B4E9", UNDECIDED: "#F0E442", FAILED: ORANGE,
                   NO_EVIDENCE: "#CCCCCC", UNTESTED: "#FFFFFF"}  # fmt: skip


def verdicts(ledger: pd.DataFrame, title: str) -> Figure:
    """The ledger at a glance: each claim's statement, its verdict in colour and in words, and our number."""
    figure, ax = plt.subplots(figsize=(2.4 * COLUMN, 0.7 + 0.32 * len(ledger)))
    for k, (_, row) in enumerate(ledger.iterrows()):
        ax.barh(k, 1.0, color=VERDICT_COLOURS[row["verdict"]], edgecolor="black", linewidth=0.5)
        ax.text(0.5, k, row["verdict"], ha="center", va="center", fontsize="small")
        number = "" if pd.isna(row["value"]) else f"{row['value']:.3g} {row['unit']}".removesuffix(" 1")
        interval = "" if pd.isna(row["low"]) else f" [{row['low']:.3g}, {row['high']:.3g}]"
        least = "least: " if "least: " in row["why"] else ""
        star = "*" if row["n_seeds"] == 1 else ""
        ax.text(1.05, k, least + number + interval + star, va="center", fontsize="x-small")
    statements = [textwrap.fill(statement, 68) for statement in ledger["statement"]]
    ax.set_yticks(range(len(ledger)), statements, fontsize="x-small")
    ax.set(xlim=(0, 2.0), ylim=(len(ledger) - 0.4, -0.6), xticks=[])
    ax.set_title(title, fontsize="medium")
    if (ledger["n_seeds"] == 1).any():
        ax.set_xlabel("* one seed", fontsize="x-small", loc="right")
    sns.despine(ax=ax, left=True, bottom=True)
    ax.tick_params(length=0)
    return figure
