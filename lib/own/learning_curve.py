"""The learning curve of a user's own molecules: errors by number of labels, from scratch and pre-trained."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from lib.models import MODELS
from lib.own.datasets import example
from lib.own.finetuning import FineTuning
from lib.report.statistics import compare, errors_of
from lib.report.tables import COLUMNS, source_of, three_rows
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.runner import stored
from lib.study import rates
from lib.study.layers import DYNAMICS, named
from lib.training.metrics import OF_FORCES


def best_arm(results: Mapping[tuple[int, bool], Sequence[Result]]) -> list[Result]:
    """The runs with most labels of the arm that validates better, mean over seeds."""
    most = max(labels for labels, _ in results)
    arms = [list(results[most, pretrained]) for pretrained in (False, True)]
    return min(arms, key=lambda runs: sum(r.validation for r in runs))


def train_best(
    tuning: FineTuning, results: Mapping[tuple[int, bool], Sequence[Result]], workers: int | None = None
) -> list[Result]:
    """`best_arm` with its weights: runs of `run_curve` that are recorded only are trained here."""
    config, most = best_arm(results)[0].config, max(labels for labels, _ in results)
    arm = arms(tuning)[config.pretrained is not None]
    return replace(arm, labels=most).train(config.training.learning_rate, workers, title="weights")


def arms(tuning: FineTuning) -> dict[bool, FineTuning]:
    """The two arms of a learning curve by whether they are pre-trained: ``tuning``, and the same from scratch."""
    return {False: replace(tuning, source=None, pretraining_rate=None), True: tuning}


def example_runs(scale: str) -> list[RunConfig]:
    """What notebook 11 runs at its defaults at the scale called ``scale``."""
    whole, labels = _example(scale)
    itself = replace(whole, source=whole.data, labels=min(labels))
    own = (itself.pretraining(seed) for seed in itself.seeds)
    out = [FineTuning.layers(whole.weights), *(config for config in own if config is not None)]
    for arm in arms(whole).values():
        out += arm.scan() + [config for n in labels for config in replace(arm, labels=n).configs(_rate(arm))]
    return out + itself.configs(_rate(whole))


def example_potentials(scale: str) -> list[str]:
    """Keys of those of `example_runs` that are the potential at the end (`best_arm`); none before they are run."""
    whole, labels = _example(scale)
    most, results = max(labels), {}
    for pretrained, arm in arms(whole).items():
        runs = [stored(config) for config in arm.configs(_rate(arm))]
        results[most, pretrained] = [run for run in runs if run is not None]
        if len(results[most, pretrained]) < len(runs):
            return []
    return [result.key for result in best_arm(results)]


def _example(scale: str) -> tuple[FineTuning, tuple[int, ...]]:
    """What is trained with most labels from the pre-trained layers, and the numbers of labels."""
    weights = f"torchmd_net-{scale}{DYNAMICS}"
    settings, _ = named(weights)
    labels, source = settings.own.n_train, FineTuning.layers(weights)
    return FineTuning(example(), weights, source, labels=max(labels), seeds=settings.seeds), labels


def _rate(arm: FineTuning) -> float:
    """The learning rate that validates best, or `rates.FIRST` before any was tried."""
    return rates.choose_rate({c.training.learning_rate: stored(c) for c in arm.scan()}, rates.FIRST)


def run_curve(
    tuning: FineTuning, labels: Sequence[int], workers: int | None = None
) -> dict[tuple[int, bool], list[Result]]:
    """Results by number of ``labels`` and arm (pre-trained as ``tuning`` says, or from scratch), one a seed.

    Each arm has the learning rate that validates best with most labels at the first seed.
    """
    out = {}
    for pretrained, arm in arms(tuning).items():
        rate = replace(arm, labels=max(labels)).choose_rate(workers)
        for n in labels:
            title = f"{n} labels, {'pre-trained' if pretrained else 'scratch'}"
            out[n, pretrained] = replace(arm, labels=n).train(rate, workers, weights=False, title=title)
    return out


def learning_curve(results: Mapping[tuple[int, bool], Sequence[Result]], dataset: str) -> pd.DataFrame:
    """Errors by number of labels, from scratch and pre-trained, with improvements and 95 % intervals.

    Args:
        results: of each number of labels and arm (pre-trained or not), one a seed.
        dataset: its name in the table.

    Returns:
        Rows of `tables.COLUMNS` with ``labels``.
    """
    rows = []
    metrics = [
        m
        for m in ("rmse", "mae", "force_rmse", "force_mae")
        if all(f"test_{m}" in r.metrics for runs in results.values() for r in runs)
    ]
    for labels in sorted({n for n, _ in results}):
        scratch, tuned = results[labels, False], results[labels, True]
        for metric in metrics:
            plain, pretrained = (
                [errors_of(r, of_forces=metric.startswith(OF_FORCES)) for r in arm] for arm in (scratch, tuned)
            )
            facts = {
                "item": "own molecules",
                "dataset": dataset,
                "system": "",
                "model": MODELS[scratch[0].config.model].label,
                "metric": metric,
                "n_seeds": len(scratch),
                "source": source_of([*scratch, *tuned]),
                "paper_value": float("nan"),
                "labels": labels,
            }
            rows += three_rows(facts, compare(plain, pretrained, metric), 1.0)
    return pd.DataFrame(rows, columns=[*COLUMNS, "labels"])
