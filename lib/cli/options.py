"""Options that several commands share, with their types, and what values they accept.

A value of the right type that makes no sense (no worker, a learning rate of 0, a seed given twice) ends the command
with one line and exit status 1, before anything is read or trained; a value of the wrong type is a usage error.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lib.training.settings import check_learning_rate

Check = Callable[[typer.CallbackParam, Any], Any]


def accept(problem_of: Callable[[Any], str | None]) -> Check:
    """A callback for typer that refuses values with a problem.

    Args:
        problem_of: says what is expected in place of a value, or None where the value is accepted.
    """

    def check(param: typer.CallbackParam, value: Any) -> Any:
        """``value`` as it is; ValueError where it, or an item of it, has a problem."""
        name = param.opts[0]
        if isinstance(value, Sequence) and not isinstance(value, str):
            _refuse_repeated(name, value)
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if item is not None and (expected := problem_of(item)):
                raise ValueError(f"{name} {item}: {expected}")
        return value

    return check


def _refuse_repeated(name: str, values: Sequence[Any]) -> None:
    repeated = [value for k, value in enumerate(values) if value in values[:k]]
    if repeated:
        given = " ".join(map(str, values))
        raise ValueError(
            f"{name} {given}: {repeated[0]} is given twice and would be counted twice; give each value once"
        )


def at_least(least: int, remedy: str = "") -> Check:
    """Whole numbers from ``least`` on."""
    end = f", {remedy}" if remedy else ""
    return accept(lambda value: None if value >= least else f"give a whole number from {least} on{end}")


def number_from(least: float, most: float, what: str) -> Check:
    """Numbers between ``least`` and ``most``, both included; NaN is none of them."""
    return accept(lambda value: None if least <= value <= most else f"give {what} from {least:g} to {most:g}")


def _rate_problem(value: float) -> str | None:
    try:
        check_learning_rate(value)
    except ValueError as error:
        return str(error).split(": ", 1)[1]
    return None


rate = accept(_rate_problem)
different = accept(lambda _: None)  # no value twice; what they may be is looked up later
an_input = accept(lambda value: None if Path(value).exists() else "it is not there; check the path")

Scale = Annotated[
    str,
    typer.Option(
        "--scale", metavar="NAME", help="Size of the study: smoke, laptop, all_labels, published, wide or paper."
    ),
]
Model = Annotated[
    str,
    typer.Option("--model", metavar="NAME", help="schnet, se3_transformer, egnn, torchmd_net, tensornet or visnet."),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", metavar="N", help="Of the split, the order, the noise and the initial weights.", callback=at_least(0)
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="NAME",
        help="Model and scale of the pre-trained layers: MODEL-SCALE or MODEL-SCALE-dynamics.",
    ),
]
LengthUnit = Annotated[
    str, typer.Option("--length-unit", metavar="UNIT", help="Unit of the positions in the file: angstrom or bohr.")
]
PretrainingRate = Annotated[
    float | None,
    typer.Option(
        "--pretraining-rate",
        metavar="RATE",
        help="Highest learning rate of pre-training on your own conformations.",
        callback=rate,
        show_default="the scale's",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what an earlier command wrote there.")]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the numbers to this file too.")]
