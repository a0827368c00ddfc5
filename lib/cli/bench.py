"""The benchmarks: how fast this machine converts, loads and trains."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import typer

from lib.cli.options import Force, JsonFile, at_least, different, number_from
from lib.cli.parsing import SeveralValues, examples, new_group
from lib.cli.targets import check_file
from lib.files import write_text

app = new_group("Measure the speed of this machine.")
LONGEST = 1e6  # seconds


class ModelsCommand(SeveralValues):
    """``--sizes`` alone times no cluster."""

    bare: ClassVar[Mapping[str, str]] = {"--sizes": "0"}


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
        sys.stdout.write(f"{name:60} {value:,.3g}\n" if value < 100 else f"{name:60} {value:,.0f}\n")


WIDTHS = ["paper", "laptop"]
Scales = Annotated[
    list[str],
    typer.Option("--scales", callback=different, metavar="NAME ...", help="Whose widths: smoke, laptop, wide, paper."),
]
Models = Annotated[
    list[str] | None,
    typer.Option("--models", callback=different, metavar="NAME ...", help="Names of models.", show_default="all"),
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", metavar="N", help="Molecules in a batch.", callback=at_least(1))
]
Seconds = Annotated[
    float,
    typer.Option(
        "--seconds",
        metavar="SECONDS",
        help="For each model and task.",
        callback=number_from(0, LONGEST, "a number of seconds"),
    ),
]
Device = Annotated[Literal["cpu", "cuda"], typer.Option("--device", help="What computes.")]
Sizes = Annotated[
    list[int] | None,
    typer.Option(
        "--sizes",
        metavar="N ...",
        help="Atoms of the clusters on which inference with forces is timed; 0 times none.",
        show_default="20 60 200 600 2000",
        callback=at_least(0),
    ),
]
Compiled = Annotated[bool, typer.Option("--compile", help="Fuse our layers with torch.compile.")]
Alone = Annotated[bool, typer.Option("--alone", help="Measure our models only.")]
Precision = Annotated[Literal["float32", "bfloat16"], typer.Option("--precision", help="Of training steps.")]


@app.command(
    "models",
    cls=ModelsCommand,
    epilog=examples("bench models", "bench models --models egnn schnet --sizes 20 200", "bench models --device cuda"),
)
def bench_models(
    scales: Scales = WIDTHS,
    models: Models = None,
    batch_size: BatchSize = 64,
    seconds: Seconds = 20.0,
    device: Device = "cpu",
    sizes: Sizes = None,
    compiled: Compiled = False,
    alone: Alone = False,
    precision: Precision = "float32",
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """Measure training steps and inference on one thread.

    Our models take turns with textbook versions, or a library's versions, of the same models.
    """
    import torch

    from lib.bench.models import SIZES, tables, without_nan
    from lib.bench.models import bench_models as measure
    from lib.models import PAPER_MODELS, entry
    from lib.study.scales import get_scale

    names = models or list(PAPER_MODELS)
    for name in names:
        entry(name)
    for scale in scales:
        get_scale(scale)
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; use --device cpu")
    _check_json(json_file, force)
    atoms = SIZES if sizes is None else [size for size in sizes if size]
    numbers = measure(scales, names, batch_size, seconds, device, atoms, compiled, getattr(torch, precision), alone)
    sys.stdout.write(tables(numbers) + "\n")
    if json_file is not None:
        write_text(json_file, json.dumps(without_nan(numbers), indent=1) + "\n")


@app.command(
    "rehearsal",
    cls=ModelsCommand,
    epilog=examples("bench rehearsal --size 0.01", "bench rehearsal --json rehearsal.json --keep"),
)
def bench_rehearsal(
    size: Annotated[
        float,
        typer.Option(
            "--size",
            metavar="SHARE",
            help="Of the published sizes (1: 25 GB of disk).",
            callback=number_from(1e-5, 1, "a share"),
        ),
    ] = 1.0,
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
            help="After which fewer steps are enough.",
            callback=number_from(0, LONGEST, "a number of minutes"),
        ),
    ] = 10.0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave files and stores where they are.")] = False,
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """Rehearse the paper's size: generated files, converted, split, trained on, killed and resumed.

    Each stage is a process of its own; one that was interrupted goes on where it was, in the same folder.
    """
    from lib.bench.models import without_nan
    from lib.bench.rehearsal.stages import Rehearsal, rehearse, remove
    from lib.models import PAPER_MODELS, entry
    from lib.paths import CACHE

    names = list(PAPER_MODELS) if models is None else models
    for name in names:
        entry(name)
    _check_json(json_file, force)
    place = (folder or CACHE / "rehearsal").resolve()
    record = rehearse(Rehearsal(place, size, names, steps, minutes), lambda text: typer.echo(text))
    if json_file is not None:
        write_text(json_file, json.dumps(without_nan(record), indent=1) + "\n")
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
    known = ({"about", "steps"}, {"about", "stages"})
    return isinstance(numbers, dict) and (
        any(keys <= set(numbers) for keys in known) or "convert (conformations/s)" in numbers
    )
