"""A potential held against labelled conformations: errors of energies and forces, by group, and the worst frames.

Energies count three times: as they are; less the mean error of their group, since potentials differ by a constant; and
per atom. Of forces each Cartesian component counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.data.datasets import DataSet, open_store
from lib.data.readers.frames import CONFIG_TYPE, FORMATS, ending, files_with
from lib.data.readers.frames import frames as frames_of
from lib.data.readers.layouts import ENDINGS
from lib.data.store import ConformationStore
from lib.data.store_header import HEADER
from lib.files import whole_file
from lib.own.findings import frame_numbers
from lib.potentials.ensemble import Potential
from lib.units import EV

GROUP = CONFIG_TYPE
ALL, NO_GROUP = "all", "(none)"
AT_ONCE = 2000  # conformations, whose forces are held in memory together
MEV = 1000 / EV  # in a kcal/mol
CLOSE = 0.7  # a correlation that tells a slope
ENERGIES, FORCES = (0.4, 2.5), (0.65, 1.6)  # slopes of labels on predictions in one unit; of Å and bohr 0.53 and 1.9
ENERGY, SHIFTED, PER_ATOM, FORCE = "energy", "energy less its mean error", "energy per atom", "force"


@dataclass(frozen=True)
class Comparison:
    """Predictions beside labels.

    Attributes:
        frames: a row a conformation: ``frame`` (its number; of a folder, counted through all files), ``molecule``,
            ``group``, ``atoms``; ``label``, ``prediction`` and ``error`` of the energy (kcal/mol); with forces
            ``force_rmse`` and ``force_mae`` (kcal/mol/Å); of an ensemble ``spread``, its standard deviation (kcal/mol).
        forces: components ``label`` and ``prediction`` (kcal/mol/Å) of all frames, in their order; empty without them.
    """

    frames: pd.DataFrame
    forces: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """A row a group and quantity: number of frames, RMSE and MAE in kcal/mol and in meV, of forces per Å."""
        rows, groups = [], sorted(self.frames["group"].unique())
        for group in [ALL, *(groups if len(groups) > 1 else [])]:
            own = self.frames if group == ALL else self.frames[self.frames["group"] == group]
            error, atoms = own["error"].to_numpy(), own["atoms"].to_numpy()
            errors = {ENERGY: error, SHIFTED: error - error.mean(), PER_ATOM: error / atoms}
            scores = {name: (np.sqrt((each**2).mean()), np.abs(each).mean()) for name, each in errors.items()}
            if "force_rmse" in own:
                square, absolute = own["force_rmse"] ** 2, own["force_mae"]  # means over 3N components of each frame
                scores[FORCE] = (np.sqrt((square * atoms).sum() / atoms.sum()), (absolute * atoms).sum() / atoms.sum())
            rows += [{"group": group, "quantity": name, "frames": len(own), "rmse (kcal/mol)": rmse,
                      "mae (kcal/mol)": mae, "rmse (meV)": MEV * rmse, "mae (meV)": MEV * mae}
                     for name, (rmse, mae) in scores.items()]  # fmt: skip
        return pd.DataFrame(rows)

    def doubts(self) -> list[str]:
        """What to ask of labels that vary with the predictions, energies within each molecule, at another scale or
        against them.
        """
        within = self.frames.groupby("molecule")[["label", "prediction"]].transform(lambda e: e - e.mean())
        return [
            f"{what} vary {slope:.3g} times as much as predicted: are unit, sign and key of the labels right?"
            for what, each, (low, high) in (("energies", within, ENERGIES), ("forces", self.forces, FORCES))
            if (slope := _slope(each["label"].to_numpy(), each["prediction"].to_numpy())) and not low < slope < high
        ]

    def worst(self, count: int = 10) -> pd.DataFrame:
        """The ``count`` frames with the largest errors of the energy less the mean error, and with forces as many with
        the largest RMSE of forces, each once.
        """
        away = (self.frames["error"] - self.frames["error"].mean()).abs()
        places = list(away.sort_values(ascending=False).index[:count])
        if "force_rmse" in self.frames:
            places += list(self.frames["force_rmse"].sort_values(ascending=False).index[:count])
        return self.frames.loc[list(dict.fromkeys(places))]

    def save(self, folder: Path, stem: str) -> list[Path]:
        """Write ``stem.csv`` (`table`) and ``stem-frames.csv`` (every frame) to ``folder``."""
        paths = [folder / f"{stem}.csv", folder / f"{stem}-frames.csv"]
        for path, table in zip(paths, (self.table(), self.frames), strict=True):
            with whole_file(path) as part:
                table.to_csv(part, index=False, float_format="%.6g")
        return paths


def compare(potential: Potential, data: DataSet, group: str = GROUP) -> Comparison:
    """``potential`` on all conformations of ``data``, grouped by ``group`` of each frame's header.

    Raises:
        DataError: the file cannot be read.
        ValueError: atom types that the potential has not met, or no frame has such a group.
    """
    store = open_store(data)
    numbers, molecules = frame_numbers(store, np.arange(len(store))), store.molecule_of(np.arange(len(store)))
    groups = _groups(Path(data.path), group)
    if not groups and group != GROUP:
        raise ValueError(f"group {group!r}: no frame of {data.path} has such an entry in its header; leave --group out")
    frames = pd.DataFrame(
        {
            "frame": numbers,
            "molecule": np.array(store.names)[molecules],
            "group": [groups.get(int(k), NO_GROUP) for k in numbers],
            "atoms": store.n_atoms[molecules],
            "label": store.energy(np.arange(len(store))),
        }
    )
    columns, components = zip(*_predicted(potential, store), strict=True)
    for name in columns[0]:
        frames[name] = np.concatenate([each[name] for each in columns])
    frames.insert(6, "error", frames["prediction"] - frames["label"])
    return Comparison(frames, pd.concat(components, ignore_index=True))


def _slope(label: NDArray[np.float64], prediction: NDArray[np.float64]) -> float | None:
    """By how much labels change with predictions; None where they do not change together."""
    together, variance = float(label @ prediction), float(prediction @ prediction)
    return together / variance if together**2 > CLOSE**2 * variance * float(label @ label) else None


def _predicted(potential: Potential, store: ConformationStore) -> Iterator[tuple[dict[str, NDArray], pd.DataFrame]]:
    """Columns of `Comparison.frames`, and `Comparison.forces`, of `AT_ONCE` conformations after another."""
    for start in range(0, len(store), AT_ONCE):
        index = np.arange(start, min(start + AT_ONCE, len(store)))
        together = store.gather(index)
        ends = np.cumsum(together.n_atoms)[:-1]
        answer = potential.evaluate(np.split(together.types, ends), np.split(together.positions, ends))
        (energy, forces), (spread, _) = answer.mean(), answer.spread()
        columns = {"prediction": energy} | ({"spread": spread} if len(potential.members) > 1 else {})
        components = pd.DataFrame({"label": [], "prediction": []}, dtype=float)
        if store.has_forces:
            label = store.gather_forces(index).astype(np.float64)
            off, first = forces - label, np.concatenate([[0], ends])
            columns["force_rmse"] = np.sqrt(np.add.reduceat((off**2).mean(1), first) / together.n_atoms)
            columns["force_mae"] = np.add.reduceat(np.abs(off).mean(1), first) / together.n_atoms
            components = pd.DataFrame({"label": label.ravel(), "prediction": forces.ravel()})
        yield columns, components


def _groups(path: Path, key: str) -> dict[int, str]:
    """What ``info[key]`` says of each frame of ``path`` that has it, by number; nothing of stores and HDF5 files."""
    files = [] if (path / HEADER).is_file() else files_with(path, [*FORMATS, *ENDINGS])
    if not all(ending(file) in FORMATS for file in files):
        return {}
    numbered = enumerate(chain.from_iterable(frames_of(file) for file in files))
    return {k: str(atoms.info[key]) for k, atoms in numbered if key in atoms.info}
