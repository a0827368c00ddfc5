"""The command that holds potentials against labelled conformations (`lib.own.evaluation`)."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib.cli.groups import grouped
from lib.cli.options import Force
from lib.cli.own import say, say_contents
from lib.cli.own_groups import Reading
from lib.cli.own_options import Answers, Data, Group, Potentials, Worst
from lib.cli.parsing import examples
from lib.cli.targets import check_file

if TYPE_CHECKING:
    import pandas as pd

    from lib.own.evaluation import Comparison
    from lib.potentials.ensemble import Potential
EPILOG = examples(
    "evaluate --weights own-my.safetensors --data test.xyz --energy-unit eV",
    "evaluate --weights seed0.safetensors seed1.safetensors --data test.xyz --energy-unit eV --output out",
    "evaluate --weights torchmd_net-laptop-dynamics-iso17 --data test.xyz --energy-unit Hartree --worst 10",
)


@grouped
def evaluate(
    weights: Potentials,
    data: Data,
    reading: Reading,
    group: Group = "config_type",
    worst: Worst = 5,
    output: Answers = None,
    force: Force = False,
) -> None:
    """Hold a potential, or an ensemble, against labelled conformations.

    Errors (RMSE and MAE) of energies, of energies less their mean error, of energies per atom, and of force
    components; of all frames and of each group. Labels of another code differ by a constant, which the second leaves
    out.
    """
    from lib.data.datasets import open_store
    from lib.own.evaluation import compare
    from lib.own.inspection import inspect_store

    dataset = reading.dataset(data)
    if output is not None:
        for ending in (".csv", "-frames.csv", "-parity.png"):
            check_file("--output", output / f"{dataset.stem}{ending}", force)
    potential = _potential(weights)
    say_contents(data, dataset)
    say(inspect_store(open_store(dataset), trained=False))
    if potential.level != dataset.level:
        sys.stdout.write(
            f"warning: {', '.join(weights)} learnt the level {potential.level!r}, the labels are of {dataset.level!r} "
            "(--level): their energies may differ by a constant\n"
        )
    comparison = compare(potential, dataset, group)
    sys.stdout.writelines(f"warning: {doubt}\n" for doubt in comparison.doubts())
    sys.stdout.write(f"{_text(comparison.table())}\n")
    if worst:
        sys.stdout.write(f"\nworst frames (kcal/mol, of forces per Å):\n{_text(comparison.worst(worst))}\n")
    if output is not None:
        _save(comparison, output, dataset.stem)


def _potential(weights: Sequence[str]) -> "Potential":
    """The potential called ``weights``: one name, or one or several files."""
    from lib.models.weights import SUFFIX
    from lib.own.pretrained import load_pretrained

    names = [name for name in weights if not name.endswith(SUFFIX)]
    if names and len(weights) > 1:
        raise ValueError(f"--weights {' '.join(weights)}: {names[0]!r} is no {SUFFIX} file; give one name, or files")
    return load_pretrained(names[0] if names else list(weights)).calculator().potential


def _text(table: "pd.DataFrame") -> str:
    """For a terminal: four digits, and total energies to a hundredth of a kcal/mol."""
    return table.to_string(index=False, float_format=lambda value: f"{value:{'.2f' if abs(value) >= 1000 else '.4g'}}")


def _save(comparison: "Comparison", folder: Path, stem: str) -> None:
    """Write the two tables and the picture, and say where they are."""
    import matplotlib.pyplot as plt

    from lib.report.figures.evaluation import parity_of_frames
    from lib.report.figures.style import set_style, write_figure

    set_style()
    paths = [*comparison.save(folder, stem), folder / f"{stem}-parity.png"]
    figure = parity_of_frames(comparison.frames, comparison.forces)
    write_figure(figure, paths[-1])
    plt.close(figure)
    sys.stdout.writelines(f"{path}\n" for path in paths)
