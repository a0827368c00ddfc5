"""Learning curves: the validation metric by epoch of any runs, as a figure."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.data.datasets import FAMILIES, NAMES_IN_TABLES
from lib.models import MODELS
from lib.report.figures.style import BLUE, GREEN, ORANGE, set_style, write_figure
from lib.runs.integrity import find_readable
from lib.runs.results import Result
from lib.training.metrics import metric_of
from lib.training.tasks import TASKS

COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's, but for the yellow
MARKERS = "osv^D"  # a second sign beside the colour: 35 runs are told apart
TITLES = {
    TASKS["denoising"].monitor: "validation denoising error",
    TASKS["energy"].monitor: "validation RMSE",
}  # what decides on the best epoch of each task, and what the figure calls it


def learning_curves(results: Sequence[Result]) -> Figure:
    """Draw the metric that decides on the best epoch, one line a run and one panel a task.

    What all runs of a panel have in common is its title; the legend says where they differ.

    Raises:
        ValueError: no runs.
    """
    if not results:
        raise ValueError(f"no runs to draw: results = {list(results)!r}")
    panels: dict[str, list[Result]] = {}
    for result in results:
        panels.setdefault(next(metric for metric in TITLES if metric in result.history()), []).append(result)
    longest = max(len(panel) for panel in panels.values())
    size = (4.8 * len(panels), 3.4 + 0.2 * longest)
    figure, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False, layout="constrained")
    for ax, (metric, panel) in zip(axes[0], panels.items(), strict=True):
        _draw(ax, metric, panel)
    return figure


def save_curves(keys: Sequence[str], path: Path | None = None) -> Path:
    """Write the `learning_curves` of stored runs, by their keys or beginnings, or of records, by their whole keys.

    Args:
        keys: of the runs.
        path: file of the figure; its ending says which kind. ``curves-KEY.png`` by default, the first key.

    Raises:
        ValueError: a key that no run has, or an ending that is no kind of figure.
    """
    results = [find_readable(key) for key in keys]
    path = path or Path(f"curves-{results[0].key}.png")
    set_style()
    figure = learning_curves(results)
    write_figure(figure, path)
    plt.close(figure)
    return path


def facts(result: Result) -> dict[str, str]:
    """What tells a run from others, in words: model, task, data, start, learning rate and seed."""
    config = result.config
    start = "" if not config.labelled else "from scratch" if config.pretrained is None else "pre-trained"
    return {
        "model": MODELS[config.model].label,
        "task": config.task,
        "data": " + ".join(_data_label(name) for name in result.about["splits"]),
        "start": start,
        "rate": f"learning rate {config.training.learning_rate:g}",
        "seed": f"seed {config.seed}",
    }


def _data_label(name: str) -> str:
    """What figures call the data set ``name`` (``mini/ani1x``, ``mini/md22/DHA``); others go by their own name."""
    suite, *parts = name.split("/")
    if suite not in NAMES_IN_TABLES:
        return name
    family, *systems = parts
    labels = [FAMILIES[family].label, *(FAMILIES[family].systems[system] for system in systems)]
    return NAMES_IN_TABLES[suite].format(" ".join(labels))


def _labels(results: Sequence[Result]) -> tuple[str, list[str]]:
    """What ``results`` have in common, and the rest of each; runs that differ in nothing of that by their keys."""
    of_runs = [facts(result) for result in results]
    common = [name for name in of_runs[0] if len({of_run[name] for of_run in of_runs}) == 1]
    title = ", ".join(of_runs[0][name] for name in common if of_runs[0][name])
    rest = [", ".join(text for name, text in of_run.items() if text and name not in common) for of_run in of_runs]
    keys = [f"{text}, run {r.key[:8]}".lstrip(", ") for text, r in zip(rest, results, strict=True)]
    return title, [k if rest.count(text) > 1 else text for text, k in zip(rest, keys, strict=True)]


def _draw(ax: Axes, metric: str, results: Sequence[Result]) -> None:
    """The curves of one task; the legend is under them."""
    title, labels = _labels(results)
    for k, (result, text) in enumerate(zip(results, labels, strict=True)):
        history = result.history()
        ax.plot(history["epoch"], history[metric], color=COLOURS[k % len(COLOURS)], linewidth=1.2, markersize=4,
                marker=MARKERS[k % len(MARKERS)], label=text)  # fmt: skip
    unit = metric_of(metric).shown_unit
    ax.set(xlabel="epoch", ylabel=f"{TITLES[metric]} ({unit})")
    ax.set_title(fill(title, 56))
    ax.set_ylim(bottom=0)
    ax.locator_params("x", integer=True)
    if len(results) > 1:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16))
