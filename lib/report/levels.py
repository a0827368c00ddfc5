"""How far GFN2-xTB, the mini suite's level of theory, agrees with DFT on published geometries.

Read from the table that ``python -m lib.mini_suite.published`` computed: both energies relative to a least-squares
energy per element, in kcal/mol. The difference of two such energies is what is left of the difference of the two total
energies after a least-squares energy per element, since that fit is linear.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.datasets import SELECTED, label
from lib.data.selections import XTB_TABLE


def energies_at_both_levels(path: Path = XTB_TABLE) -> pd.DataFrame:
    """Columns dataset (its label), molecule (ANI-1x: formula), atoms, dft and xtb of each conformation."""
    table = pd.read_csv(path, keep_default_na=False, na_values={"dft": [""], "xtb": [""]})
    return table.assign(dataset=[label(SELECTED, name) for name in table["dataset"]])


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each data set of ``table`` (`energies_at_both_levels`), and one within its molecules.

    ``within`` is ``no`` for all conformations together, ``yes`` where each molecule's mean is taken off both energies
    and molecules of a single conformation are left out, so that geometry alone tells them apart. ``spread`` is the
    standard deviation of the DFT energies, ``rmse`` the root mean square difference, both in kcal/mol; ``failed``
    counts the conformations on which GFN2-xTB does not converge.
    """
    rows = []
    for name, group in table.groupby("dataset", sort=False):
        known = group.dropna(subset=["dft", "xtb"])
        by_molecule = known.groupby("molecule")
        several = by_molecule["dft"].transform("size") > 1
        inner = (known[["dft", "xtb"]] - by_molecule[["dft", "xtb"]].transform("mean"))[several]
        for within, energies in (("no", known[["dft", "xtb"]]), ("yes", inner)):
            difference = energies["dft"] - energies["xtb"]
            rows.append({
                "dataset": name, "within": within, "conformations": len(energies), "failed": len(group) - len(known),
                "correlation": energies["dft"].corr(energies["xtb"]), "rmse": np.sqrt((difference**2).mean()),
                "spread": energies["dft"].std(ddof=0),
            })  # fmt: skip
    return pd.DataFrame(rows)


def in_words(rows: pd.DataFrame) -> str:
    """One sentence from `agreement`."""
    parts = []
    for name, group in rows.groupby("dataset", sort=False):
        whole, inner = (group[group["within"] == word].iloc[0] for word in ("no", "yes"))
        parts.append(
            f"{name}, {whole['conformations']:,} conformations: r = {whole['correlation']:.3f}, RMSE "
            f"{whole['rmse']:.1f} kcal/mol where the DFT energies spread by {whole['spread']:.0f}; within a molecule "
            f"or formula r = {inner['correlation']:.3f}, RMSE {inner['rmse']:.1f} (spread {inner['spread']:.0f})"
        )
    start = "GFN2-xTB energies against DFT energies of published geometries, after a least-squares energy per element"
    return f"{start}: {'; '.join(parts)}."
