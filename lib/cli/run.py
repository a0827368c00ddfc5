"""The command that trains one run of a scale, in one process or in several that it starts itself."""

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lib.cli.options import Model, Scale, Seed, at_least, number_from, rate
from lib.cli.parsing import examples

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    from lib.runs import Result, RunConfig
    from lib.training.execution import Execution
EPILOG = examples(
    "run --scale laptop --model egnn",
    "run --scale laptop --model egnn --data ani1x --pretrained",
    "run --scale paper --model egnn --accelerator cuda --devices 4",
)
STARTED = "WORLD_SIZE"  # set by torchrun and its like in each process
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="NAME",
        help="Learn the energies of this data set (ani1x, iso17, spice, md22/DHA ...).",
        show_default="none: pre-training",
    ),
]
Pretrained = Annotated[bool, typer.Option("--pretrained", help="Start from the pre-training of the same seed.")]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--learning-rate",
        metavar="RATE",
        help="Highest rate for the energies.",
        show_default="the scale's first",
        callback=rate,
    ),
]
Devices = Annotated[
    int,
    typer.Option(
        "--devices", metavar="N", help="Processes on each machine, one a GPU or CPU core.", callback=at_least(1)
    ),
]
Nodes = Annotated[
    int, typer.Option("--nodes", metavar="N", help="Machines; started by torchrun.", callback=at_least(1))
]
Accelerator = Annotated[
    str, typer.Option("--accelerator", metavar="NAME", help="auto (a GPU where there is one), cpu or cuda.")
]
Precision = Annotated[str, typer.Option("--precision", metavar="NAME", help="32-true, bf16-mixed or 16-mixed.")]
Accumulate = Annotated[
    int,
    typer.Option(
        "--accumulate",
        metavar="N",
        help="Pass each batch in this many parts, to need less memory.",
        callback=at_least(1),
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        help="Processes that prepare batches ahead, for each training one",
        callback=at_least(0),
    ),
]
CheckpointMinutes = Annotated[
    float,
    typer.Option(
        "--checkpoint-minutes",
        metavar="MINUTES",
        help="Between checkpoints within an epoch: what a killed run loses at most.",
        callback=number_from(0.01, 1e4, "a number of minutes"),
    ),
]
Compiled = Annotated[bool, typer.Option("--compile", help="Fuse layers with torch.compile.")]
Graphs = Annotated[bool, typer.Option("--graphs", help="Train by CUDA graphs, for small batches on a GPU.")]
Tensorboard = Annotated[bool, typer.Option("--tensorboard", help="Write a TensorBoard log to the run's folder.")]


def run(
    model: Model,
    scale: Scale = "smoke",
    data: Data = None,
    pretrained: Pretrained = False,
    learning_rate: LearningRate = None,
    seed: Seed = 0,
    devices: Devices = 1,
    nodes: Nodes = 1,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
    accumulate: Accumulate = 1,
    workers: Workers = 0,
    checkpoint_minutes: CheckpointMinutes = 5.0,
    compiled: Compiled = False,
    graphs: Graphs = False,
    tensorboard: Tensorboard = False,
) -> None:
    """Train one run of a scale, or load it where it is stored.

    Without --data the run is a pre-training: the model learns to remove Gaussian noise (0.2 Angstrom) from molecules.
    With it, the model learns energies (kcal/mol).
    """
    from lib.study.cells import Cell
    from lib.study.scales import get_scale
    from lib.training.execution import Execution

    settings, execution = get_scale(scale), Execution(
        progress=sys.stderr.isatty(), accelerator=accelerator, compiled=compiled, tensorboard=tensorboard,
        accumulate=accumulate, devices=devices, nodes=nodes, precision=precision, workers=workers,
        checkpoint_minutes=checkpoint_minutes, graphs=graphs,
    )  # fmt: skip
    if data is None:
        _refuse_without_data(pretrained, learning_rate)
        config = settings.pretrain(model, seed)
    else:
        first = settings.rates_of(data)[0]
        rate = first if learning_rate is None else learning_rate
        config = settings.finetune(Cell(model, data, pretrained), rate, seed)
    result = _result(config, execution)
    if int(os.environ.get("RANK", "0")) == 0:
        sys.stdout.write(f"{result.key} {json.dumps(result.metrics)}\n")


def _refuse_without_data(pretrained: bool, learning_rate: float | None) -> None:
    """Options of energy runs change nothing in pre-training."""
    for option, given in (("--pretrained", pretrained), ("--learning-rate", learning_rate is not None)):
        if given:
            raise ValueError(f"{option} is for learning energies: name their data set with --data, such as ani1x")


def _result(config: "RunConfig", execution: "Execution") -> "Result":
    """The stored result, if it is whole, or a new one, trained by as many processes as ``execution`` says."""
    from lib.errors import TrainingError
    from lib.runs.integrity import refuse_broken
    from lib.runs.runner import run as train
    from lib.runs.runner import stored

    number, started = execution.devices * execution.nodes, os.environ.get(STARTED)
    if started is not None and int(started) != number:
        raise ValueError(
            f"{started} processes were started, but --devices {execution.devices} times --nodes "
            f"{execution.nodes} are {number}: make them the same"
        )
    result = stored(config)
    if result is not None:
        refuse_broken(result)
        return result
    if started is None and number > 1:
        _train_together(config, execution)
        result = stored(config)
        if result is None:
            raise TrainingError(f"the {number} processes ended without a result: run the command again")
        return result
    return train(config, execution)


def _train_together(config: "RunConfig", execution: "Execution") -> None:
    """Train in ``execution.devices`` processes of this machine.

    Raises:
        ValueError: several machines, which only the user can start, or more processes than this machine has devices.
        TrainingError: a process ended with an error; the message is the first one's.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from lib.errors import TrainingError

    if execution.nodes > 1:
        raise ValueError(
            f"--nodes {execution.nodes}: start the same command on each machine with torchrun "
            f"--nnodes {execution.nodes} --nproc-per-node {execution.devices} --rdzv-backend c10d "
            "--rdzv-endpoint FIRST_MACHINE:29500 -m lib run ..."
        )
    _refuse_more_than_there_are(execution)
    launch = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=execution.devices, rdzv_backend="c10d",
                          rdzv_endpoint="localhost:0", run_id=config.key(), max_restarts=0, start_method="spawn",
                          monitor_interval=0.1)  # fmt: skip
    try:
        elastic_launch(launch, _train)(config, execution)
    except ChildFailedError as error:
        raise TrainingError(_first_message(error)) from error


def _refuse_more_than_there_are(execution: "Execution") -> None:
    import torch

    from lib.machine import available_cores

    on_gpu = execution.device() == "cuda"
    limit, what = (torch.cuda.device_count(), "GPUs") if on_gpu else (available_cores(), "CPU cores")
    if execution.devices > limit:
        raise ValueError(f"--devices {execution.devices}: this machine has {limit} {what}; choose at most {limit}")


def _train(config: "RunConfig", execution: "Execution") -> None:
    """What each of the processes does."""
    from lib.runs.runner import run as train

    train(config, execution)


def _first_message(error: "ChildFailedError") -> str:
    """The last line of the first failed process's error, which names what went wrong."""
    _, failure = error.get_first_failure()
    return f"a process ended with an error: {failure.message.strip().splitlines()[-1]}"
