"""Dipole moments of the mini suite's SPICE molecules, which tell polar from nonpolar ones.

GFN2-xTB at each molecule's first conformation; ``python -m lib.mini_suite.dipoles`` writes them beside the data set
(some minutes), where `report.subsets.polarity` reads them. Of a charged molecule the dipole depends on the origin, so
only neutral ones have a row.
"""

import numpy as np
import pandas as pd

from lib.chemistry.atom_types import ATOM_TYPES, NUMBERS
from lib.chemistry.xtb import dipole
from lib.data.datasets import find, open_store

DEBYE = 2.541746  # of an atomic unit, e times bohr


def dipoles() -> pd.DataFrame:
    """Columns molecule (its name in the store) and debye, a row for each neutral molecule."""
    store, rows = open_store(find("mini/spice")), []
    for molecule, name in enumerate(store.names):
        first = store.gather(np.array([store.first_conformation[molecule]]))
        if sum(ATOM_TYPES[t][1] for t in first.types):
            continue
        vector = dipole(NUMBERS[first.types], first.positions.astype(np.float64))
        rows.append({"molecule": name, "debye": DEBYE * float(np.linalg.norm(vector))})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    dipoles().to_csv(f"{find('mini/spice').path}_dipoles.csv", index=False, float_format="%.3f", lineterminator="\n")
