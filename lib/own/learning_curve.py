"""The learning curve of a user's own molecules: errors by number of labels, from scratch and pre-trained."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.data.datasets import DataSet
from lib.models import MODELS
from lib.own.datasets import example
from lib.own.finetuning import choose_rate, default_force_weight, fine_tune, pretrain_on, refuse_diverged
from lib.report.statistics import compare, errors_of
from lib.report.tables import COLUMNS, source_of, three_rows
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.runner import run_all, stored
from lib.study import rates
from lib.study.layers import DYNAMICS, named
from lib.training.metrics import OF_FORCES


def best_arm(results: Mapping[tuple[int, bool], Sequence[Result]]) -> list[Result]:
    """The runs with most labels of the arm that validates better, mean over seeds."""
    most = max(labels for labels, _ in results)
    arms = [results[most, pretrained] for pretrained in (False, True)]
    return min(arms, key=lambda runs: sum(r.validation for r in runs))


def train_best(
    weights: str,
    dataset: DataSet,
    source: RunConfig,
    results: Mapping[tuple[int, bool], Sequence[Result]],
    workers: int | None = None,
) -> list[Result]:
    """`best_arm` with its weights: runs of `run_curve` that are recorded only are trained here."""
    best = [result.config for result in best_arm(results)]
    begin = source if best[0].pretrained else None
    rate, most = best[0].training.learning_rate, max(labels for labels, _ in results)
    configs = _arm(weights, dataset, begin, rate, [most], [config.seed for config in best])[most]
    return run_all(configs, workers, "weights", weights=True)


def example_runs(scale: str) -> list[RunConfig]:
    """What notebook 11 runs at its defaults at the scale called ``scale``."""
    weights, dataset = f"torchmd_net-{scale}{DYNAMICS}", example()
    settings, model = named(weights)
    source, weight, labels = settings.pretrain(model, 0), default_force_weight(dataset), settings.own.n_train
    own = [pretrain_on(weights, dataset, seed) for seed in settings.seeds]
    out = [source, *own]
    for begin in (None, source):
        scan = _scan(weights, dataset, begin, settings.rates_of(dataset.name), settings.seeds[0], max(labels))
        rate = rates.choose_rate({config.training.learning_rate: stored(config) for config in scan}, rates.FIRST)
        arm = _arm(weights, dataset, begin, rate, labels, settings.seeds)
        out += scan + [config for configs in arm.values() for config in configs]
    return out + [fine_tune(weights, dataset, s, rate, s.seed, min(labels), weight) for s in own]


def _scan(
    weights: str, dataset: DataSet, source: RunConfig | None, rates: Sequence[float], seed: int, labels: int
) -> list[RunConfig]:
    """The runs that decide the learning rate of one arm of a learning curve."""
    weight = default_force_weight(dataset)
    return [fine_tune(weights, dataset, source, rate, seed, labels, weight) for rate in rates]


def _arm(
    weights: str,
    dataset: DataSet,
    source: RunConfig | None,
    rate: float,
    labels: Sequence[int],
    seeds: Sequence[int],
) -> dict[int, list[RunConfig]]:
    """The runs of one arm of a learning curve by number of ``labels``, one a seed."""
    weight = default_force_weight(dataset)
    return {n: [fine_tune(weights, dataset, source, rate, seed, n, weight) for seed in seeds] for n in labels}


def run_curve(
    weights: str,
    dataset: DataSet,
    source: RunConfig,
    labels: Sequence[int],
    seeds: Sequence[int],
    rates: Sequence[float],
    workers: int | None = None,
) -> dict[tuple[int, bool], list[Result]]:
    """Results by number of ``labels`` and arm (pre-trained from ``source`` or not), one a seed.

    Each arm has the one of ``rates`` that validates best with most labels at the first seed.
    """
    out = {}
    for pretrained in (False, True):
        begin = source if pretrained else None
        rate = choose_rate(_scan(weights, dataset, begin, rates, seeds[0], max(labels)), workers)
        for n, configs in _arm(weights, dataset, begin, rate, labels, seeds).items():
            out[n, pretrained] = run_all(configs, workers, f"{n} labels, {'pre-trained' if pretrained else 'scratch'}")
            refuse_diverged(out[n, pretrained])
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
    metrics = [m for m in ("rmse", "mae", "force_rmse", "force_mae")
               if all(f"test_{m}" in r.metrics for runs in results.values() for r in runs)]  # fmt: skip
    for labels in sorted({n for n, _ in results}):
        scratch, tuned = results[labels, False], results[labels, True]
        for metric in metrics:
            errors = [[errors_of(r, of_forces=metric.startswith(OF_FORCES)) for r in arm] for arm in (scratch, tuned)]
            facts = {
                "item": "own molecules", "dataset": dataset, "system": "",
                "model": MODELS[scratch[0].config.model].label, "metric": metric,
                "n_seeds": len(scratch), "source": source_of([*scratch, *tuned]), "paper_value": float("nan"),
                "labels": labels,
            }  # fmt: skip
            rows += three_rows(facts, compare(*errors, metric), 1.0)
    return pd.DataFrame(rows, columns=[*COLUMNS, "labels"])
