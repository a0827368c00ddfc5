"""Figures of comparisons: error bars with and without pre-training, error against data, noise and energy."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from collections.abc import Sequence
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from lib.data.datasets import MD22_SYSTEMS
from lib.report.figures.style import ARMS, BLUE, GREY, MODEL_STYLES, ORANGE
from lib.report.tables import AVERAGE
from lib.training.metrics import metric_label

CUT = -100  # per cent, of the axis of improvements
COLUMN = 3.4  # inches, one column of a page
SINGLE_SEED = "* one seed: the interval is over test data only"
PALE, WITHOUT_EVIDENCE = 0.3, "pale: no evidence, neither arm explains 30 % of the variance"


def spread(rows: pd.DataFrame) -> np.ndarray:
    """How far the interval reaches down and up, (2, n)."""
    return np.abs(rows[["low", "high"]].to_numpy().T - rows["value"].to_numpy())


def _label(rows: pd.DataFrame, by: str) -> list[str]:
    """Names on the axis, systems by the paper's names; a star marks a single seed."""
    names = [MD22_SYSTEMS.get(name, name) for name in rows[by]]
    return [f"{name}*" if n == 1 else name for name, n in zip(names, rows["n_seeds"], strict=True)]


def arm_bars(
    panels: Sequence[tuple[str, pd.DataFrame]],
    by: str = "model",
    columns: int = 4,
    title: str | None = None,
    one_scale: bool = False,
) -> Figure:
    """Errors from scratch and pre-trained with 95 % intervals.

    Args:
        panels: title and rows of `tables.comparison_table` of one metric, a panel each.
        by: the column whose values stand along the axis.
        columns: panels side by side.
        title: above all panels, the data set, say.
        one_scale: the same axis of errors in all panels.
    """
    columns = min(columns, len(panels))
    lines = -(-len(panels) // columns)
    size = (1.0 + 2.4 * columns, 0.6 + 2.6 * lines)
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, sharey=one_scale)
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    figure.suptitle(title, fontsize="medium")
    for ax, (name, table) in zip(axes.flat, panels, strict=False):
        rows = table[table["pretrained"].isin(list(ARMS))]
        for shift, (arm, (text, colour)) in zip((-0.2, 0.2), ARMS.items(), strict=True):
            own = rows[rows["pretrained"] == arm]
            bars = ax.bar(np.arange(len(own)) + shift, own["value"], 0.36, yerr=spread(own), color=colour, label=text,
                          error_kw={"capsize": 2, "linewidth": 1})  # fmt: skip
            for bar, alpha in zip(bars, _strength(own), strict=True):
                bar.set_alpha(alpha)
        ax.set_xticks(range(len(own)), _label(own, by), rotation=35, ha="right", rotation_mode="anchor")
        unit = rows["unit"].iloc[0].replace("angstrom", "Å")
        ax.set_ylabel(f"test {metric_label(rows['metric'].iloc[0])}\n({unit})")
        ax.set_title(name, fontsize="medium")
        sns.despine(ax=ax)
    _finish(figure, axes.flat[0], [table for _, table in panels])
    return figure


def _star(rows: pd.DataFrame) -> str:
    """A star where some of the rows are of a single seed."""
    return "*" * bool((rows["n_seeds"] == 1).any())


def _strength(rows: pd.DataFrame) -> list[float]:
    """How strong each row's colour is: `PALE` where its comparison is no evidence."""
    return [PALE if word == "no" else 1.0 for word in rows["evidence"]]


def _marks(ax: Axes, rows: pd.DataFrame, places: np.ndarray, along: str, label: str, **style: str) -> None:
    """The values of ``rows`` with their intervals along the axis x or y, at ``places`` of the other."""
    for strength in (PALE, 1.0):
        drawn = np.array(_strength(rows)) == strength
        values, others = rows["value"].to_numpy()[drawn], np.asarray(places)[drawn]
        x, y = (values, others) if along == "x" else (others, values)
        ax.errorbar(x, y, **{f"{along}err": spread(rows)[:, drawn]}, linestyle="", markersize=4, capsize=2,
                    elinewidth=1, alpha=strength, label=label if strength == 1.0 else None, **style)  # fmt: skip


def _finish(figure: Figure, ax: Axes, tables: Sequence[pd.DataFrame]) -> None:
    """The legend under the panels, and what a star or a pale colour means where there is one."""
    handles, labels = ax.get_legend_handles_labels()
    notes = [SINGLE_SEED] * any(_star(table) for table in tables)
    notes += [WITHOUT_EVIDENCE] * any(PALE in _strength(table) for table in tables)
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False,
                           title="\n".join(notes) or None, title_fontsize="small")  # fmt: skip
    for handle in legend.legend_handles:
        handle.set_alpha(1.0)


def gains(table: pd.DataFrame, by: str) -> Figure:
    """The improvement of MAE in per cent with its 95 % interval, by the column ``by``, a colour a model.

    A star beside an interval marks a single seed.

    An open mark is the improvement that the paper prints, or that follows from its errors, where there is one.
    """
    rows = table[(table["pretrained"] == "improvement") & (table["metric"] == "mae") & (table["model"] != AVERAGE)]
    models, groups = list(rows["model"].unique()), list(rows[by].unique())
    figure, ax = plt.subplots(figsize=(2 * COLUMN, 0.8 + 0.5 * len(groups)))
    for k, model in enumerate(models):
        own, (colour, marker) = rows[rows["model"] == model], MODEL_STYLES[model]
        places = np.array([groups.index(g) for g in own[by]]) + 0.16 * (k - (len(models) - 1) / 2)
        _marks(ax, own, places, "x", color=colour, marker=marker, label=model)
        ax.plot(own["paper_value"], places, marker, markersize=8, markerfacecolor="none", color=colour)
        single = (own["n_seeds"] == 1).to_numpy()
        for end in zip(own["high"][single], places[single], strict=True):
            ax.annotate("*", end, (3, -1), textcoords="offset points", va="center", color=colour)
    if rows["paper_value"].notna().any():
        ax.plot([], [], "o", markersize=8, markerfacecolor="none", color="black", label="open: the paper")
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set_yticks(range(len(groups)), groups)
    ax.set_ylim(len(groups) - 0.5, -0.5)
    low, high = rows["low"].min(), rows["high"].max()
    ax.set_xlim(max(low, CUT) - 5, np.fmax(high, rows["paper_value"].max()) + 5)
    ax.set_xlabel("lower MAE by pre-training (%)" + (f"; intervals are cut at {CUT} %" if low < CUT else ""))
    sns.despine(ax=ax)
    _finish(figure, ax, [rows])
    return figure


def error_by_share(panels: Sequence[tuple[str, pd.DataFrame]], counts: Sequence[pd.Series]) -> Figure:
    """Figure 4: test MAE against the share of the training conformations, on logarithmic axes.

    Args:
        panels: title and rows of `tables.comparison_table`, a data set each.
        counts: training conformations by share, of each panel.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(0.8 + 2.3 * len(panels), 3.0), squeeze=False)
    for ax, (title, table), count in zip(axes[0], panels, counts, strict=True):
        for arm, (text, colour) in ARMS.items():
            own = table[(table["pretrained"] == arm) & (table["metric"] == "mae")].sort_values("share")
            _marks(ax, own, 100 * own["share"], "y", color=colour, marker="o", label=text)
            ax.plot(100 * own["share"], own["value"], color=colour, linewidth=1.2)
        shares = sorted(table["share"].unique())
        ax.set(xscale="log", yscale="log", xlabel="training conformations")
        ax.set_xticks([100 * s for s in shares], [f"{100 * s:g} %\n{count[s]:,}" for s in shares])
        ax.minorticks_off()
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        ax.yaxis.set_major_locator(plt.LogLocator(subs=(1, 2, 3, 5, 7)))
        ax.set_title(title + _star(table), fontsize="medium")
        sns.despine(ax=ax)
    axes[0, 0].set_ylabel("test MAE (kcal/mol)")
    _finish(figure, axes[0, 0], [table for _, table in panels])
    return figure


def error_by_sigma(table: pd.DataFrame, by_seed: pd.DataFrame) -> Figure:
    """Figure 5: test RMSE and MAE against σ of the pre-training noise; a line across shows no pre-training.

    Seeds are shown one by one: intervals over two or three of them (in the table) would hide the curve.

    Args:
        table: of `tables.comparison_table`.
        by_seed: of `descriptions.by_seed`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(2 * COLUMN, 2.9))
    for ax, metric in zip(axes, ("rmse", "mae"), strict=True):
        rows, one = table[table["metric"] == metric], by_seed.drop_duplicates(["pretrained", "sigma", "seed"])
        tuned = rows[rows["pretrained"] == "yes"].sort_values("sigma")
        places = {sigma: k for k, sigma in enumerate(tuned["sigma"])}
        ax.axhline(rows[rows["pretrained"] == "no"]["value"].iloc[0], color=GREY, label="from scratch (σ = 0), mean")
        for value in one[~one["pretrained"]][metric]:
            ax.axhline(value, color=GREY, linewidth=0.7, linestyle=":")
        ax.plot(range(len(tuned)), tuned["value"], color=BLUE, linewidth=1.2, marker="o", markersize=4,
                label="pre-trained, mean")  # fmt: skip
        points = one[one["pretrained"]]
        ax.plot(points["sigma"].map(places), points[metric], "_", color=BLUE, markersize=9, label="each seed")
        best = int(np.argmin(tuned["value"]))
        ax.plot(best, tuned["value"].iloc[best], marker="s", markersize=9, markerfacecolor="none", color=ORANGE,
                linestyle="", label="lowest mean")  # fmt: skip
        ax.set_xticks(range(len(tuned)), [f"{s:g}" for s in tuned["sigma"]])
        ax.set(xlabel="σ of the pre-training noise (Å)", ylabel=f"test {metric.upper()} (kcal/mol)")
        sns.despine(ax=ax)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def error_details(details: pd.DataFrame, dataset: str, bins: int = 6) -> Figure:
    """How errors lie: predicted against target energy (baseline subtracted), MAE by number of atoms and by energy.

    Args:
        details: `descriptions.details` of both arms: columns model, pretrained, atoms, and energy,
            baseline, error in kcal/mol.
        dataset: its name, for the title.
        bins: of atoms and of energy, with about as many conformations in each; they stand at their medians.
    """
    figure, axes = plt.subplots(1, 3, figsize=(9.0, 2.9))
    figure.suptitle(f"{', '.join(details['model'].unique())}, {dataset}", fontsize="medium")
    mixed = details.sample(frac=1, random_state=0)  # so that neither arm lies on top
    target = mixed["energy"] - mixed["baseline"]
    colours = mixed["pretrained"].map({arm: colour for arm, (_, colour) in ARMS.items()})
    axes[0].scatter(target, target + mixed["error"], s=3, c=colours, alpha=0.5, linewidths=0, rasterized=True)
    for arm, (text, colour) in ARMS.items():
        own = details[details["pretrained"] == arm]
        target = own["energy"] - own["baseline"]
        for ax, values in ((axes[1], own["atoms"]), (axes[2], target)):
            groups = pd.qcut(values, bins, duplicates="drop")
            middles = values.groupby(groups, observed=True).median()
            binned = own["error"].abs().groupby(groups, observed=True).mean()
            ax.plot(middles, binned, marker="o", markersize=4, color=colour, label=text)
    low, high = np.percentile(details["energy"] - details["baseline"], [0, 100])
    axes[0].plot([low, high], [low, high], color="black", linewidth=0.8)
    label = "energy − baseline\n(kcal/mol)"
    axes[0].set(xlabel=f"target {label}", ylabel=f"predicted {label}")
    axes[1].set(xlabel="atoms", ylabel="test MAE (kcal/mol)", ylim=(0, None))
    axes[2].set(xlabel=f"target {label}", ylabel="test MAE (kcal/mol)", ylim=(0, None))
    for ax in axes:
        sns.despine(ax=ax)
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure
