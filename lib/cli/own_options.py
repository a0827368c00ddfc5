"""The options of the commands for a user's own molecules (`lib.cli.own`)."""

from pathlib import Path
from typing import Annotated

import typer

from lib.cli.options import an_input, at_least, number_from, rate

HEAVIEST = 1e6  # weight of the forces in the loss
Unlabelled = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FILE",
        help="Your conformations, with or without energies.",
        show_default="the scale's",
        callback=an_input,
    ),
]
Data = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="FILE",
        help="Your labelled conformations: .xyz, .extxyz, .traj or .db.",
        callback=an_input,
    ),
]
EnergyUnit = Annotated[
    str,
    typer.Option("--energy-unit", metavar="UNIT", help="kcal/mol, eV, Hartree or kJ/mol; forces are in it per length."),
]
EnergyKey = Annotated[
    str, typer.Option("--energy-key", metavar="NAME", help="Name under which a frame keeps its energy.")
]
ForcesKey = Annotated[
    str,
    typer.Option(
        "--forces-key", metavar="NAME", help="Name under which a frame keeps its forces, which may be missing."
    ),
]
ForcesLengthUnit = Annotated[
    str | None,
    typer.Option(
        "--forces-length-unit",
        metavar="UNIT",
        help="Unit of length in the forces.",
        show_default="that of the positions",
    ),
]
Level = Annotated[
    str,
    typer.Option(
        "--level",
        metavar="NAME",
        help="Level of theory, where lib.chemistry.reference_energies knows its free atoms, such as GFN2-xTB.",
    ),
]
FromScratch = Annotated[bool, typer.Option("--from-scratch", help="Train the same model from random weights.")]
PretrainOn = Annotated[
    Path | None,
    typer.Option(
        "--pretrain-on",
        metavar="FILE",
        help="Pre-train on these conformations instead.",
        show_default="use the layers of --weights",
        callback=an_input,
    ),
]
PretrainLengthUnit = Annotated[
    str | None,
    typer.Option(
        "--pretrain-length-unit", metavar="UNIT", help="Unit of length of that file.", show_default="--length-unit"
    ),
]
Labels = Annotated[
    int | None,
    typer.Option(
        "--labels",
        metavar="N",
        help="Training conformations to use.",
        show_default="80 % of all",
        callback=at_least(1),
    ),
]
LearningRates = Annotated[
    list[float] | None,
    typer.Option(
        "--learning-rates",
        metavar="RATE ...",
        help="Candidates; the best by validation is taken.",
        show_default="the scale's",
        callback=rate,
    ),
]
ForceWeight = Annotated[
    float | None,
    typer.Option(
        "--force-weight",
        metavar="WEIGHT",
        help="Of the forces in the loss; 0 does not learn them.",
        show_default="10, where there are forces",
        callback=number_from(0, HEAVIEST, "a weight"),
    ),
]
Seeds = Annotated[
    list[int],
    typer.Option("--seeds", metavar="N ...", help="One model each; several make an ensemble.", callback=at_least(0)),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Processes that train at once.",
        show_default="all cores",
        callback=at_least(1),
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="FOLDER", help="Where the weights files go.", show_default="this folder"),
]
Check = Annotated[bool, typer.Option("--check", help="Check the data, say what it would cost, and stop.")]
