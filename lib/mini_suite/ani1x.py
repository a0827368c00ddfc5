"""Mini ANI-1x: larger CHNO molecules and dimers, further from equilibrium, in the layout of ``ani1x-release.h5``.

Half of a molecule's frames are MMFF94 dynamics at 300 to 1000 K (dimers: 100 to 300 K), half start from such a frame
and turn one torsion (or, for a dimer, move its parts along the line between them); labels are GFN2-xTB energies and
forces. As in the published file there is one group per formula: isomers share it, their atoms ordered by atomic number.
"""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from lib.chemistry.xtb import LEVEL
from lib.data.readers.ani1x import KEYS
from lib.mini_suite import sampling
from lib.mini_suite.filters import GeometryFilter
from lib.mini_suite.frames import Frames, create_file, label_frames, pack

MOLECULES = Path(__file__).parent / "molecules" / "ani1x.smi"
FRAMES = 72  # drawn per molecule, before the filter
TEMPERATURES = (300.0, 600.0, 1000.0)  # K, a trajectory each
DIMER_TEMPERATURES = (100.0, 200.0, 300.0)
KEY = KEYS[LEVEL]  # beside wb97x_dz, wb97x_tz, … of the published file


def sample(smiles: str, seed: int, frames: int = FRAMES) -> Frames:
    """Labelled conformations of one molecule (``A``) or dimer (``A.B``), atoms ordered by atomic number."""
    rng = np.random.default_rng(seed)
    molecule = sampling.embed(smiles, rng)
    accept, dimer = GeometryFilter(molecule), "." in smiles
    temperatures = DIMER_TEMPERATURES if dimer else TEMPERATURES
    start, drawn = sampling.get_positions(molecule), []
    for temperature in temperatures:
        sampling.set_positions(molecule, start)
        walk = islice(sampling.dynamics(molecule, temperature, rng), 5, None)
        for x in islice(walk, -(-frames // (2 * len(temperatures)))):
            turned = sampling.pull_dimer(molecule, x, rng) if dimer else sampling.turn_torsion(molecule, x, rng)
            drawn += [x] if turned is None else [x, turned]
    numbers = sampling.numbers_of(molecule)
    order = np.argsort(numbers, kind="stable")
    return label_frames(smiles, numbers[order], [x[order] for x in drawn if accept.accepts(x)])


def write(all_frames: Iterable[Frames], folder: Path, attributes: dict[str, str]) -> None:
    """Write ``ani1x.h5``: a group per formula with ``atomic_numbers``, ``coordinates`` (Å), energies and forces."""
    by_formula: dict[str, list[Frames]] = {}
    for frames in all_frames:
        by_formula.setdefault(CalcMolFormula(Chem.MolFromSmiles(frames.name)), []).append(frames)
    with create_file(folder / "ani1x.h5", attributes) as file:
        for formula, members in sorted(by_formula.items()):
            group = file.create_group(formula)
            group.attrs["smiles"] = [frames.name for frames in members]
            group.create_dataset("atomic_numbers", data=members[0].numbers.astype("u1"))
            for key, arrays, kind in (
                ("coordinates", [m.positions for m in members], "f4"),
                (f"{KEY}.energy", [m.energy for m in members], "f8"),
                (f"{KEY}.forces", [m.forces for m in members], "f4"),
            ):
                pack(group, key, np.concatenate(arrays).astype(kind))
