"""Mini ANI-1: normal-mode sampling of small CHNO molecules, in the layout of ``ani_gdb_s01.h5`` … ``s08.h5``.

The procedure follows ANI-1's (Smith, Isayev, Roitberg 2017, https://doi.org/10.1038/sdata.2017.193): relax, Hessian,
displace along the modes; here with GFN2-xTB throughout and Gaussian amplitudes at a temperature drawn for each frame.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rdkit import Chem

from lib.chemistry import normal_modes, xtb
from lib.mini_suite import sampling
from lib.mini_suite.filters import GeometryFilter
from lib.mini_suite.frames import Frames, create_file, label_frames, pack
from lib.units import HARTREE

MOLECULES = Path(__file__).parent / "molecules" / "ani1.smi"
FRAMES = 122  # drawn per molecule, before the filter
TEMPERATURES = (200.0, 1200.0)  # K, drawn evenly between


def sample(smiles: str, seed: int, frames: int = FRAMES) -> Frames:
    """Labelled conformations of one molecule around its GFN2-xTB minimum.

    Raises:
        ValueError: GFN2-xTB does not keep the molecule's bonds on relaxation.
    """
    rng = np.random.default_rng(seed)
    molecule = sampling.embed(smiles, rng)
    numbers = sampling.numbers_of(molecule)
    minimum = xtb.relax(numbers, sampling.get_positions(molecule))
    accept = GeometryFilter(molecule)
    if not accept.accepts(minimum):
        raise ValueError(f"GFN2-xTB does not keep the bonds of {smiles!r}: remove it from {MOLECULES.name}")
    mass = sampling.masses(molecule)
    wavenumbers, modes = normal_modes.normal_modes(xtb.hessian(numbers, minimum) * HARTREE, minimum, mass)
    temperature = rng.uniform(*TEMPERATURES, size=frames)
    drawn = sampling.sample_normal_modes(minimum, wavenumbers, modes, temperature, rng)
    return label_frames(smiles, numbers, [x for x in drawn if accept.accepts(x)])


def write(all_frames: Iterable[Frames], folder: Path, attributes: dict[str, str]) -> None:
    """Write ``ani_gdb_s01.h5`` … ``s08.h5``, a file for each number of heavy atoms, a group for each molecule."""
    by_size: dict[int, list[Frames]] = {}
    for frames in all_frames:
        by_size.setdefault(int((frames.numbers > 1).sum()), []).append(frames)
    for heavy, members in sorted(by_size.items()):
        root = f"gdb11_s{heavy:02d}"
        with create_file(folder / f"ani_gdb_s{heavy:02d}.h5", attributes) as file:
            for k, frames in enumerate(members):
                group = file.create_group(f"{root}/{root}-{k}")
                pack(group, "coordinates", frames.positions.astype("f4"))
                pack(group, "energies", frames.energy)
                symbols = [Chem.GetPeriodicTable().GetElementSymbol(int(z)) for z in frames.numbers]
                group.create_dataset("species", data=np.array(symbols, dtype="S1"))
                group.create_dataset("smiles", data=np.array(list(frames.name), dtype="S1"))
