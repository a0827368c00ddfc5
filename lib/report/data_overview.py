"""A suite's data sets: counts beside the paper's, distributions, contacts of complexes, learnability."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.chemistry.bonds import parts_of
from lib.data.datasets import FAMILIES, MD22_SYSTEMS, find, label, open_store, paper_names
from lib.data.sources import counted, load_sources
from lib.data.splits import FINE_TUNING, make_split
from lib.data.store import ConformationStore
from lib.models import MODELS
from lib.paths import DATA
from lib.report.ridge import ridge_r2
from lib.report.tables import COLUMNS
from lib.runs.config import RunConfig
from lib.runs.results import Result

TESTED = {"random": "random", "file": "the last 10 %"}  # test frames, by order of the split
MAX_DISTANCES = 200  # frames in which contacts are measured


def available(suite: str) -> list[str]:
    """The families of data sets whose files exist in ``suite``."""
    return [data for data in FAMILIES if Path(find(f"{suite}/{data}").path).exists()]


def _rows(item: str, suite: str, data: str, system: str, counts: dict[str, float], paper: dict[str, float]) -> list:
    names = dict.fromkeys(COLUMNS, "") | {"item": item, "dataset": label(suite, data), "system": system, "unit": "1"}
    return [
        names | {"metric": key, "value": value, "low": np.nan, "high": np.nan, "n_seeds": 0, "source": "counted",
                 "paper_value": paper.get(key, np.nan)}
        for key, value in counts.items()
    ]  # fmt: skip


def _flat(counts: dict) -> dict[str, float]:
    """Counts of `sources.counted` with the range of atoms as two numbers."""
    least, most = counts["atoms"]
    return {key: counts[key] for key in ("molecules", "conformations", "elements")} | {
        "least atoms": least,
        "most atoms": most,
    }


def table1(suite: str, datasets: Sequence[str]) -> pd.DataFrame:
    """Table 1: molecules, conformations, elements and atoms of each data set, counted, beside the paper's numbers, NaN
    for a data set that the paper does not have.
    """
    sources, rows = load_sources(), []
    for data in datasets:
        counts = _flat(counted(open_store(find(f"{suite}/{data}"))))
        rows += _rows("Table 1", suite, data, "", counts, _flat(sources[data].table1) if data in sources else {})
    return pd.DataFrame(rows, columns=COLUMNS)


def beside_published(table: pd.DataFrame, suite: str) -> pd.DataFrame:
    """`table1` for reading: the counts, and the published numbers under the paper's names."""
    published = table.assign(dataset=table["dataset"].replace(paper_names(suite)))
    return pd.concat(
        {
            "counted here": table.pivot(index="metric", columns="dataset", values="value"),
            "published": published.pivot(index="metric", columns="dataset", values="paper_value"),
        },
        axis=1,
    ).astype("Int64")


def table_s1(suite: str, systems: Sequence[str] = tuple(MD22_SYSTEMS)) -> pd.DataFrame:
    """Table S1: atoms and conformations of MD22's systems, counted, beside the published numbers."""
    paper = pd.read_csv(DATA / "paper" / "md22.csv").set_index("system")
    rows = []
    for system in systems:
        store = open_store(find(f"{suite}/md22/{system}"))
        counts: dict[str, float] = {"atoms": int(store.n_atoms[0]), "conformations": len(store)}
        rows += _rows("Table S1", suite, "md22", system, counts, dict(paper.loc[system, list(counts)]))
    return pd.DataFrame(rows, columns=COLUMNS)


def sampled(suite: str, datasets: Sequence[str], count: int, seed: int = 0) -> pd.DataFrame:
    """Atoms, energy per atom and root-mean-square force of up to ``count`` random conformations of each data set.

    Returns:
        Columns dataset, atoms, energy_per_atom (kcal/mol, relative to free atoms where these are known) and force
        (kcal/mol/Å; NaN where the data set has none).
    """
    parts = []
    for data in datasets:
        store = open_store(find(f"{suite}/{data}"))
        index = np.sort(np.random.default_rng(seed).permutation(len(store))[:count])
        atoms = store.n_atoms[store.molecule_of(index)]
        force = np.full(len(index), np.nan)
        if store.has_forces:
            squared = (store.gather_forces(index).astype(np.float64) ** 2).sum(1)
            force = np.sqrt(np.add.reduceat(squared, np.cumsum(atoms) - atoms) / atoms)
        parts.append(pd.DataFrame({"dataset": label(suite, data), "atoms": atoms, "force": force,
                                   "energy_per_atom": store.relative_energy(index) / atoms}))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def element_shares(suite: str, datasets: Sequence[str]) -> pd.DataFrame:
    """Per cent of the atoms of all conformations by element (columns: atomic number) and data set (rows)."""
    shares = {}
    for data in datasets:
        store = open_store(find(f"{suite}/{data}"))
        weight = np.repeat(store.n_conformations, store.n_atoms)
        counts = np.bincount(store.arrays["z"], weights=weight, minlength=54)
        shares[label(suite, data)] = pd.Series(100 * counts / counts.sum())
    table = pd.DataFrame(shares).T
    return table.loc[:, (table > 0).any()]


def contacts(store: ConformationStore, count: int = MAX_DISTANCES) -> pd.DataFrame:
    """The closest distance in Å from each part of a complex to the others, over frames spread along the trajectory.

    Returns:
        One row per part: atoms, and the smallest, the median and the largest closest distance; no row for one molecule.
    """
    index = np.unique(np.linspace(0, len(store) - 1, count).astype(int))
    frames = store.gather(index).positions.reshape(len(index), -1, 3).astype(np.float64)
    part = parts_of(store.arrays["z"], frames[0])
    rows = []
    for k in range(part.max() + 1 if part.max() else 0):
        inside, others = part == k, part != k
        closest = [np.linalg.norm(x[inside][:, None] - x[others][None], axis=-1).min() for x in frames]
        rows.append(
            {
                "atoms": int(inside.sum()),
                "smallest": min(closest),
                "median": float(np.median(closest)),
                "largest": max(closest),
            }
        )
    return pd.DataFrame(rows)


def typical(suite: str, data: str) -> tuple[str, NDArray[np.int64], NDArray[np.float64]]:
    """Name, atomic numbers (N,) and first conformation (N, 3) Å of the molecule with the median number of atoms."""
    store = open_store(find(f"{suite}/{data}"))
    molecule = int(np.argsort(store.n_atoms, kind="stable")[len(store.names) // 2])
    numbers = store.arrays["z"][store.atoms_of(molecule)].astype(np.int64)
    positions = store.gather(store.first_conformation[[molecule]]).positions
    return store.names[molecule], numbers, positions.astype(np.float64)


def learnability(suite: str, configs: Sequence[RunConfig], results: Sequence[Result]) -> pd.DataFrame:
    """R² on test conformations of the ridge and of the network, by system and order of the split."""
    rows = []
    for config, result in zip(configs, results, strict=True):
        store = open_store(config.data[0])
        split = make_split(store, config.seed, FINE_TUNING, order=config.split_order)
        rows.append(
            {
                "system": config.data[0].name.removeprefix(f"{suite}/md22/"),
                "test frames": TESTED[config.split_order],
                "standard deviation": store.relative_energy(split.parts["test"]).std(),
                "frames of the ridge": len(split.parts["train"]) + len(split.parts["validation"]),
                "frames of the network": result.about["conformations"]["train"],
                "ridge": ridge_r2(store, split),
                MODELS[config.model].label: result.metrics["test_r2"],
            }
        )
    return pd.DataFrame(rows)
