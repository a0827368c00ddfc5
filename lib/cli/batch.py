"""The commands for all runs of a scale: train a part of them or its trials, and say what they cost.

They belong to the group of `lib.cli.runs`.
"""

import json
import sys
from typing import Annotated

import typer

from lib.cli.options import Model, Scale, at_least
from lib.cli.parsing import examples
from lib.cli.runs import app

Workers = Annotated[
    int, typer.Option("--workers", metavar="N", help="Processes that train at once.", callback=at_least(1))
]


@app.command("train", epilog=examples("runs train --scale laptop --model egnn --seed 0 --workers 4"))
def train_runs(
    model: Model,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="One of the scale's seeds.", callback=at_least(0))],
    scale: Scale = "smoke",
    workers: Workers = 1,
) -> None:
    """Train all runs of a scale with one model and one seed.

    This is what the batch gives one job.
    """
    from lib.campaign import shards, train_shard
    from lib.models import entry

    entry(model)
    seeds = [number for name, number in shards(scale) if name == model]
    if seed not in seeds:
        choice = f"choose from {seeds}" if seeds else "it has none with this model"
        raise ValueError(f"--seed {seed}: the scale {scale} has no runs of {model} with this seed; {choice}")
    for result in train_shard(scale, model, seed, workers):
        sys.stdout.write(f"{result.key} {result.source} {json.dumps(result.metrics)}\n")


@app.command(
    "trials", epilog=examples("runs trials --scale published", "runs trials --scale laptop --kind audit --train")
)
def run_trials(
    scale: Scale = "smoke",
    kind: Annotated[
        str, typer.Option("--kind", metavar="TEXT", help="Only trials whose names begin so.", show_default="all")
    ] = "",
    train: Annotated[bool, typer.Option("--train", help="Train what is missing, trial by trial.")] = False,
    workers: Workers = 1,
) -> None:
    """Say which runs the trials of a scale lack, or train them.

    Trials are questions beyond the paper's tables; the scales smoke, laptop and published have some. An arm with 0
    seeds may have runs already: its learning rate is not chosen yet. Training that was interrupted goes on.
    """
    from lib.study.questions import trials_of
    from lib.study.trials import left_out, run_trial

    trials = trials_of(scale, kind)
    if not trials:
        begins = ", ".join(dict.fromkeys(trial.name.split(",")[0] for trial in trials_of(scale)))
        raise ValueError(f"--kind {kind}: no trial of {scale} has a name that begins so; they begin with {begins}")
    for trial in trials:
        if train:
            run_trial(trial, workers)
        missing = left_out(trial)
        sys.stdout.write(f"{trial.name}: {'missing: ' + ', '.join(missing) if missing else 'complete'}\n")


@app.command("plan", epilog=examples("runs plan --scale laptop"))
def plan_runs(scale: Scale = "smoke") -> None:
    """Count the runs of a scale, and estimate what is left to do.

    The estimate is in core-minutes: minutes on one core.
    """
    from lib.campaign import plan_scale
    from lib.study.cost import MINUTES, in_words

    table = plan_scale(scale)
    left = in_words(table[MINUTES].sum(skipna=False))
    sys.stdout.write(f"{scale}: {table['number'].sum()} runs, {left} left (estimate)\n")
    sys.stdout.write(table.to_string(index=False) + "\n")
