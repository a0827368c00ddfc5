"""The command that writes a run's weights for others."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from lib.cli.options import Force
from lib.cli.parsing import examples
from lib.cli.targets import check_weights

EPILOG = examples("export 3f2a91", "export 3f2a91 my-model.safetensors")


def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Key of a stored run, or its beginning (see runs list); or of a record with shipped weights.",
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="File to write.", show_default="MODEL-TASK-KEY.safetensors"),
    ] = None,
    force: Force = False,
) -> None:
    """Write the weights of a stored run as one file.

    It is a safetensors file with units, licence and origin in its header; an existing file is replaced only if it
    holds the weights of the same run, or with --force of another; anything else stays.
    """
    from lib.models.weights import export_weights
    from lib.runs.integrity import find_whole

    result = find_whole(run)
    config = result.about["config"]
    path = file or Path(f"{config['model']}-{config['task']}-{result.key}.safetensors")
    check_weights(path, result.key, force)
    export_weights(result.weights(), result.about, result.key, path)
    sys.stdout.write(f"{path}\n")
