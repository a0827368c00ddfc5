"""The options of the commands for a user's own molecules (`lib.cli.own`, `lib.cli.evaluate`)."""

from math import inf
from pathlib import Path
from typing import Annotated

import typer

from lib.cli.options import accept, an_input, at_least, different, number_from, rate

HEAVIEST = 1e6  # weight of the forces in the loss
decay = accept(lambda value: None if 0 <= value < 1 else "give a decay from 0 to below 1, such as 0.999")
duration = accept(lambda value: None if 0 < value < inf else "give a number of minutes above 0")
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
        help="Your labelled conformations: .xyz, .extxyz (also .gz), .traj, .db, .npz, .h5, or a store.",
        callback=an_input,
    ),
]
EnergyUnit = Annotated[
    str | None,
    typer.Option(
        "--energy-unit",
        metavar="UNIT",
        help="kcal/mol, eV, Hartree or kJ/mol; forces are in it per length.",
        show_default="what format or file say",
    ),
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
IgnoreCell = Annotated[
    bool, typer.Option("--ignore-cell", help="Frames with a periodic cell are molecules in a box: leave the cell out.")
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
        show_default="80 % of all; more with --validation and --test",
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
IsolatedEnergies = Annotated[
    list[str] | None,
    typer.Option(
        "--e0",
        metavar="ELEMENT=ENERGY ...",
        help="Energies of isolated atoms, in the energy unit, such as H=-13.6 O=-2041.8.",
        show_default="frames of --data with one atom",
    ),
]
IsolatedAtoms = Annotated[
    Path | None,
    typer.Option(
        "--isolated-atoms",
        metavar="FILE",
        help="Isolated atoms with their energies, a frame each, instead of --e0.",
        show_default="none",
        callback=an_input,
    ),
]
FIRST_SEED = [0]
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
Validation = Annotated[
    Path | None,
    typer.Option(
        "--validation",
        metavar="FILE",
        help="Labelled conformations to choose by, read as --data is, of which then no tenth is kept back for that.",
        show_default="10 % of --data",
        callback=an_input,
    ),
]
Test = Annotated[
    Path | None,
    typer.Option(
        "--test",
        metavar="FILE",
        help="Labelled conformations to test on, read as --data is, of which then no tenth is kept back for that.",
        show_default="10 % of --data",
        callback=an_input,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="N",
        help="Conformations of a training step.",
        show_default="the scale's",
        callback=at_least(1),
    ),
]
Steps = Annotated[
    int | None,
    typer.Option("--steps", metavar="N", help="Of each run, about.", show_default="the scale's", callback=at_least(1)),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        metavar="N",
        help="Passes over the training conformations, instead of --steps.",
        show_default="the scale's",
        callback=at_least(1),
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        metavar="X",
        help="Of each run on one core, instead of --steps; the speed is measured the first time.",
        show_default="the scale's steps",
        callback=duration,
    ),
]
Patience = Annotated[
    int,
    typer.Option(
        "--patience",
        metavar="N",
        help="Validations without a new best one after which a run stops; 0 never stops early.",
        callback=at_least(0),
    ),
]
Average = Annotated[
    float,
    typer.Option(
        "--average",
        metavar="DECAY",
        help="Keep the moving average of the weights with this decay by step, such as 0.999; 0 is none.",
        callback=decay,
    ),
]
Continue = Annotated[
    str | None,
    typer.Option(
        "--continue",
        metavar="WEIGHTS",
        help="Go on with a trained potential: a weights file, or a name (its first seed); --weights names its model.",
        show_default="start from the layers of --weights",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Start at once, however long it takes; scripts are never asked.")]
Potentials = Annotated[
    list[str],
    typer.Option(
        "--weights",
        metavar="FILE ...",
        help="Weights files that finetune wrote, several for an ensemble; or the name of a shipped potential.",
        callback=different,
    ),
]
Group = Annotated[
    str, typer.Option("--group", metavar="NAME", help="Entry of a frame's header by which errors are grouped too.")
]
Worst = Annotated[
    int,
    typer.Option(
        "--worst",
        metavar="N",
        help="Frames to name that are furthest off, by energy and by forces.",
        callback=at_least(0),
    ),
]
Answers = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FOLDER",
        help="Write the table, every frame (both .csv) and a picture to this folder.",
        show_default="print only",
    ),
]
