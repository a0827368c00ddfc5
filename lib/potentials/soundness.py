"""Whether a potential is sound: what any energy of molecules has to keep, measured on a trained one.

Two molecules far apart have the sum of their energies, and an atom far away changes nothing; nuclei repel; a bond that
is stretched has one minimum and one force that pulls it back; heat breaks no bond that the reference keeps.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from ase import Atoms
from numpy.typing import NDArray
from scipy.signal import argrelextrema
from scipy.spatial.transform import Rotation

from lib.chemistry.atom_types import CLOSEST, type_name
from lib.potentials.calculator import types_of
from lib.potentials.ensemble import Potential
from lib.units import EV

FARTHEST = 3.0  # Å, of two atoms that are brought together


def copies(
    potential: Potential, atoms: Atoms, numbers: Sequence[int] = (2, 3, 4), apart: float = 100.0
) -> pd.DataFrame:
    """What ``numbers`` of copies of a molecule, ``apart`` Å along x, are off by.

    Returns:
        Columns ``copies``, ``energy`` (meV, of all together less as many times the energy of one) and ``force`` (meV/Å,
        the largest change of a component); 0 where energies are sums over atoms.
    """
    types, positions = types_of(atoms), atoms.positions
    one, rows = potential.evaluate([types], [positions]), []
    for n in numbers:
        shift = np.repeat(apart * np.arange(n), len(atoms))[:, None] * np.array([1.0, 0.0, 0.0])
        together = _evaluate(potential, np.tile(types, n), np.tile(positions, (n, 1)) + shift)
        force = np.abs(together[1] - np.tile(one.mean()[1], (n, 1))).max()
        rows.append(
            {"copies": n, "energy": 1000 / EV * (together[0] - n * one.mean()[0][0]), "force": 1000 / EV * force}
        )
    return pd.DataFrame(rows)


def felt_far_away(potential: Potential, atoms: Atoms, distance: float = 50.0) -> float:
    """The largest change of a force component (meV/Å) where an atom of the first type is ``distance`` Å away."""
    types, positions = types_of(atoms), atoms.positions
    far = positions.max(0) + np.array([distance, 0.0, 0.0])
    alone = _evaluate(potential, types, positions)[1]
    together = _evaluate(potential, np.append(types, types[0]), np.vstack([positions, far]))[1]
    return float(1000 / EV * np.abs(together[:-1] - alone).max())


def felt_translation(potential: Potential, atoms: Atoms, shift: float = 1e5) -> float:
    """The largest change of a force component (meV/Å) where the molecule is ``shift`` Å away from the origin."""
    types = types_of(atoms)
    still, moved = (_evaluate(potential, types, atoms.positions + s)[1] for s in (0.0, shift))
    return float(1000 / EV * np.abs(moved - still).max())


def felt_rotation(potential: Potential, atoms: Atoms, seed: int = 0) -> float:
    """The largest change of a force component (meV/Å) where the molecule is turned, in its own axes."""
    types, turn = types_of(atoms), Rotation.random(random_state=seed).as_matrix()
    still, turned = (_evaluate(potential, types, atoms.positions @ m.T)[1] for m in (np.eye(3), turn))
    return float(1000 / EV * np.abs(turned @ turn - still).max())


def pair_curves(potential: Potential, step: float = 0.02) -> pd.DataFrame:
    """Two atoms of each two trained types, from `CLOSEST` to `FARTHEST` Å apart.

    Returns:
        Columns ``pair``, ``distance`` (Å) and ``energy`` (eV, less that at the largest distance).
    """
    distance = np.arange(CLOSEST, FARTHEST + step / 2, step)
    scan = [np.array([[0.0, 0.0, 0.0], [0.0, 0.0, d]]) for d in distance]
    tables = []
    for pair in combinations_with_replacement(potential.trained_types, 2):
        energy = potential.evaluate([np.array(pair)] * len(scan), scan, only_differences=True).mean()[0] / EV
        name = "-".join(map(type_name, pair))
        tables.append(pd.DataFrame({"pair": name, "distance": distance, "energy": energy - energy[-1]}))
    return pd.concat(tables, ignore_index=True)


def flips(forces: pd.DataFrame) -> dict[str, int]:
    """How often each force along a bond (a column a calculator, after ``length``) changes its sign: once a minimum."""
    signs = {name: np.sign(forces[name].to_numpy()) for name in forces.columns[1:]}
    return {name: int((np.diff(each[each != 0]) != 0).sum()) for name, each in signs.items()}


def extrema(scan: pd.DataFrame) -> dict[str, int]:
    """Minima and maxima inside each curve, a column a calculator, after ``length``; a bond has one minimum."""
    curves = {name: scan[name].to_numpy() for name in scan.columns[1:]}
    return {name: sum(len(argrelextrema(e, c)[0]) for c in (np.less, np.greater)) for name, e in curves.items()}


def _evaluate(potential: Potential, types: NDArray, positions: NDArray) -> tuple[float, NDArray[np.float64]]:
    """Energy and forces (N, 3) of one structure, kcal/mol and kcal/mol/Å."""
    energy, forces = potential.evaluate([types], [positions], only_differences=True).mean()
    return float(energy[0]), forces
