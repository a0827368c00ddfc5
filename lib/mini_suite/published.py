"""GFN2-xTB energies of published geometries beside their DFT energies: what a stand-in the mini suite's labels are.

``python -m lib.mini_suite.published`` computes them (some minutes) for the parts of ANI-1 and ANI-1x that
`data.selections` names, and writes ``data/published/gfn2_xtb.csv``, from which notebook 02 draws. So that nothing of
the published data themselves is in that table, both energies are relative to a least-squares energy per element over
the conformations of their data set, and rounded to 0.1 kcal/mol.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from lib.chemistry.atom_types import NUMBERS
from lib.chemistry.xtb import single_point
from lib.data.datasets import SELECTED, find, open_store
from lib.data.selections import XTB_TABLE
from lib.data.splits import subsample
from lib.data.store import ConformationStore
from lib.units import HARTREE

DRAWN = {"ani1": 2000, "ani1x": 1000}  # conformations by data set: of ANI-1 drawn by lot, of ANI-1x all
SEED = 2023


def xtb_energies(store: ConformationStore, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """GFN2-xTB energies (B,) in kcal/mol of the conformations ``index`` (B,), as neutral singlets.

    NaN where the self-consistent field does not converge.
    """
    energies = np.full(len(index), np.nan)
    for k, conformation in enumerate(tqdm(index, desc=store.path.name)):
        c = store.gather(np.array([conformation]))
        try:
            energies[k] = single_point(NUMBERS[c.types], c.positions.astype(np.float64)).energy * HARTREE
        except RuntimeError:
            continue
    return energies


def beyond_composition(energies: NDArray[np.float64], compositions: NDArray[np.integer]) -> NDArray[np.float64]:
    """``energies`` (B,) less a least-squares energy per atom type, ``compositions`` being their numbers (B, 28)."""
    present = compositions[:, compositions.any(0)].astype(np.float64)
    return energies - present @ np.linalg.lstsq(present, energies, rcond=None)[0]


def compare_levels(store: ConformationStore, index: NDArray[np.int64]) -> pd.DataFrame:
    """Columns molecule, atoms, dft and xtb (kcal/mol, `beyond_composition`) of the conformations ``index``.

    Those without a converged GFN2-xTB energy have none in either column, and take no part in the fit.
    """
    molecule, xtb = store.molecule_of(index), xtb_energies(store, index)
    known = np.isfinite(xtb)
    table = pd.DataFrame({"molecule": np.array(store.names)[molecule], "atoms": store.n_atoms[molecule]})
    for column, energies in (("dft", store.energy(index)), ("xtb", xtb)):
        table[column] = np.nan
        table.loc[known, column] = beyond_composition(energies[known], store.compositions[molecule[known]])
    return table


def levels_table() -> pd.DataFrame:
    """`compare_levels` of the conformations that `DRAWN` says, with the data set in the first column.

    Raises:
        DataError: the published files are not here.
    """
    parts = []
    for name, count in DRAWN.items():
        store = open_store(find(f"{SELECTED}/{name}"))
        table = compare_levels(store, subsample(np.arange(len(store)), count, SEED))
        table.insert(0, "dataset", name)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    levels_table().to_csv(XTB_TABLE, index=False, float_format="%.1f", lineterminator="\n")
