"""The benchmarks: how fast this machine converts, loads and trains."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lib.cli.options import Force, JsonFile, at_least, different, number_from
from lib.cli.parsing import SeveralValues, examples, new_group
from lib.cli.targets import check_file
from lib.files import write_text

app = new_group("Measure the speed of this machine.")
LONGEST = 1e6  # seconds
MARKS = (
    {"about", "steps"},
    {"about", "stages"},
    {"about", "inference with forces"},
    {"about", "graphs"},
    {"convert (conformations/s)"},
)  # keys of its files


@app.command("data", epilog=examples("bench data", "bench data --conformations 100000 --json data-speed.json"))
def bench_data(
    conformations: Annotated[
        int,
        typer.Option(
            "--conformations", metavar="N", help="In the generated file (5 million: 3 GiB).", callback=at_least(1_000)
        ),
    ] = 5_000_000,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            metavar="SECONDS",
            help="For each kind of batch.",
            callback=number_from(0, LONGEST, "a number of seconds"),
        ),
    ] = 10.0,
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """Measure conversion and loading on one core."""
    from lib.bench.data import bench_data as measure
    from lib.runs.provenance import provenance

    _check_json(json_file, force)
    numbers = measure(conformations, seconds)
    if json_file is not None:
        write_text(json_file, json.dumps(numbers | {"provenance": provenance("cpu")}, indent=1))
    for name, value in numbers.items():
        text = value if isinstance(value, str) else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
        sys.stdout.write(f"{name:60} {text}\n")


WIDTHS = ["paper", "laptop"]
GIB = 2**30
Scales = Annotated[
    list[str],
    typer.Option(
        "--scales",
        callback=different,
        metavar="NAME ...",
        help="Whose widths: smoke, laptop, all_labels, published, wide, paper.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models", callback=different, metavar="NAME ...", help="Names of models.", show_default="the paper's"
    ),
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", metavar="N", help="Molecules in a batch.", callback=at_least(1))
]
Seconds = Annotated[
    float,
    typer.Option(
        "--seconds",
        metavar="SECONDS",
        help="For each line of the table.",
        callback=number_from(0, LONGEST, "a number of seconds"),
    ),
]
Device = Annotated[Literal["cpu", "cuda"], typer.Option("--device", help="What computes.")]
Sizes = Annotated[
    list[int] | None,
    typer.Option(
        "--sizes",
        metavar="N ...",
        help="Atoms of the clusters.",
        show_default="20 60 200 600 2000",
        callback=at_least(1),
    ),
]
Compiled = Annotated[bool, typer.Option("--compile", help="Fuse our layers with torch.compile.")]
Alone = Annotated[bool, typer.Option("--alone", help="Measure our models only.")]
Precision = Annotated[Literal["float32", "bfloat16"], typer.Option("--precision", help="Of training steps.")]
Busy = Annotated[
    int,
    typer.Option("--busy", metavar="N", help="Other processes that multiply matrices meanwhile.", callback=at_least(0)),
]
Memory = Annotated[
    float | None,
    typer.Option(
        "--memory",
        metavar="GIB",
        help="That a step may take; larger batches are reduced.",
        show_default="half of what the machine has left",
        callback=number_from(0, LONGEST, "a number of GiB"),
    ),
]


@app.command(
    "models",
    cls=SeveralValues,
    epilog=examples("bench models", "bench models --models egnn schnet --busy 1", "bench models --device cuda"),
)
def bench_models(
    scales: Scales = WIDTHS,
    models: Models = None,
    batch_size: BatchSize = 64,
    seconds: Seconds = 20.0,
    device: Device = "cpu",
    compiled: Compiled = False,
    alone: Alone = False,
    precision: Precision = "float32",
    busy: Busy = 0,
    memory: Memory = None,
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """Measure training steps on one thread.

    Our models take turns with textbook versions, or a library's versions, of the same models. A batch whose step would
    take more memory than there is, is made smaller, and the table says so.
    """
    import torch

    from lib.bench.models import Conditions, tables
    from lib.bench.models import bench_models as measure

    names = _names(models, scales, device)
    _check_json(json_file, force)
    limit = None if memory is None else memory * GIB
    kind = getattr(torch, precision)
    conditions = Conditions(batch_size, seconds, device, compiled, kind, alone, busy, limit)
    _report(measure(scales, names, conditions), tables, json_file)


@app.command(
    "inference",
    cls=SeveralValues,
    epilog=examples("bench inference", "bench inference --models schnet --sizes 20 2000 --json inference.json"),
)
def bench_inference(
    scales: Scales = WIDTHS,
    models: Models = None,
    sizes: Sizes = None,
    seconds: Seconds = 2.0,
    device: Device = "cpu",
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """Measure energy and forces of one cluster through the ASE calculator, on one thread."""
    from lib.bench.inference import SIZES, tables
    from lib.bench.inference import bench_inference as measure

    names = _names(models, scales, device)
    _check_json(json_file, force)
    _report(measure(scales, names, sizes or SIZES, seconds, device), tables, json_file)


@app.command("gpu", cls=SeveralValues, epilog=examples("bench gpu --json gpu.json"))
def bench_gpu(
    models: Models = None,
    scale: Annotated[str, typer.Option("--scale", metavar="NAME", help="Whose widths.")] = "paper",
    seconds: Seconds = 5.0,
    device: Device = "cuda",
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """Measure what CUDA graphs bring to training steps on a GPU; two minutes."""
    from lib.bench.gpu import bench_gpu as measure
    from lib.bench.gpu import tables

    names = _names(models, [scale], device)
    _check_json(json_file, force)
    _report(measure(names, scale, seconds, device), tables, json_file)


def _names(models: list[str] | None, scales: list[str], device: str) -> list[str]:
    """The models to measure.

    Raises:
        ValueError: there is no model, scale or device of a name that was given.
    """
    import torch

    from lib.models import PAPER_MODELS, entry
    from lib.study.scales import get_scale

    names = models or list(PAPER_MODELS)
    for name in names:
        entry(name)
    for scale in scales:
        get_scale(scale)
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; use --device cpu")
    return names


def _report(measured: dict[str, Any], tables: Callable[[dict[str, Any]], str], json_file: Path | None) -> None:
    """Print a benchmark's tables and write its numbers."""
    sys.stdout.write(tables(measured) + "\n")
    _write(measured, json_file)


def _write(measured: dict[str, Any], json_file: Path | None) -> None:
    from lib.bench.models import without_nan

    if json_file is not None:
        write_text(json_file, json.dumps(without_nan(measured), indent=1) + "\n")


Share = Annotated[
    float,
    typer.Option(
        "--size",
        metavar="SHARE",
        help="Of the published sizes (1: 20 GB of disk).",
        callback=number_from(1e-5, 1, "a share"),
    ),
]


@app.command(
    "rehearsal",
    cls=SeveralValues,
    epilog=examples("bench rehearsal --size 0.01", "bench rehearsal --json rehearsal.json --keep"),
)
def bench_rehearsal(
    size: Share = 1.0,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="FOLDER", help="For files and stores.", show_default="cache/rehearsal"),
    ] = None,
    models: Models = None,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", help="Of pre-training, for each model.", callback=at_least(1))
    ] = 300,
    minutes: Annotated[
        float,
        typer.Option(
            "--minutes",
            metavar="MINUTES",
            help="After which fewer steps are enough; checkpoints twice as often, every five minutes at least.",
            callback=number_from(0.02, LONGEST, "a number of minutes"),
        ),
    ] = 10.0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave files and stores where they are.")] = False,
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """Rehearse the paper's size: generated files, converted, split, trained on, killed and resumed.

    Each stage is a process of its own; one that was interrupted goes on where it was, in the same folder.
    """
    from lib.bench.rehearsal.stages import Rehearsal, rehearse, remove
    from lib.paths import CACHE

    names = _names(models, [], "cpu")
    _check_json(json_file, force)
    place = (folder or CACHE / "rehearsal").resolve()
    checkpoints = min(5.0, minutes / 2)
    record = rehearse(Rehearsal(place, size, names, steps, minutes, checkpoints), lambda text: typer.echo(text))
    _write(record, json_file)
    if not keep:
        remove(place)


def _check_json(path: Path | None, force: bool) -> None:
    """A file of an earlier benchmark may be written again; any other needs ``--force``."""
    if path is not None:
        check_file("--json", path, force or _is_benchmark(path))


def _is_benchmark(path: Path) -> bool:
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(numbers, dict) and any(marks <= set(numbers) for marks in MARKS)
