"""The command that makes the small data sets in the box again."""

from pathlib import Path
from typing import Annotated

import typer

from lib.cli.options import Force, at_least
from lib.cli.parsing import examples
from lib.cli.targets import FORCE, check_folder
from lib.errors import look_up

EPILOG = examples("mini-suite", "mini-suite ani1 ani1x --output /tmp/mini")


Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Of ani1, ani1x, iso17, spice, md22, relaxed, example.",
        show_default="all of them, and the reference energies",
    ),
]
Folder = Annotated[
    Path | None, typer.Option("--output", metavar="FOLDER", help="Folder to write.", show_default="data/mini")
]
SampleSeed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Of the sampled conformations.",
        show_default="the shipped suite's",
        callback=at_least(0),
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        "--processes", metavar="N", help="How many work at once.", show_default="all cores", callback=at_least(1)
    ),
]


def mini_suite(
    names: Names = None,
    output: Folder = None,
    seed: SampleSeed = None,
    processes: Processes = None,
    force: Force = False,
) -> None:
    """Make the small data sets of the mini suite again (minutes).

    They hold GFN2-xTB energies and forces in the layouts of the published data sets; the same seed gives the same
    numbers.
    """
    from lib.mini_suite.build import RECIPES, SEED, build, build_reference_energies
    from lib.paths import DATA

    for name in names or ():
        look_up(RECIPES, name, "mini data set")  # before anything is made
    folder = output or DATA / "mini"
    check_folder("--output", folder)
    taken = [str(folder / name) for name in names or RECIPES if (folder / name).exists()]
    if taken and output is not None and not force:
        raise ValueError(f"--output {output}: {', '.join(taken)} exists already; {FORCE}")
    if not names:
        build_reference_energies(folder)
    for name in names or RECIPES:
        build(name, folder, SEED if seed is None else seed, processes)
