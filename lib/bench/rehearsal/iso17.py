"""Databases in ISO17's layout: ASE makes the tables, and SQLite fills them, which ASE would do row by row."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.db import connect
from numpy.typing import NDArray

ENERGY = -11505.0  # eV, near that of C7O2H10 at the published level
PARTS = {"reference": 412, "test_within": 103, "test_other": 130}  # shares of 645, as 129 isomers are divided
TRAINED, VALIDATED = 400 / 412, 4 / 412  # shares of the reference database
HEAVY = 9  # the first atoms, carbon and oxygen, whose order is the isomer's
TEXT_DATA = "8"  # the version of ASE's format whose data are JSON, as in the published files


def generate_iso17(folder: Path, z: Sequence[int], frames: NDArray[np.float32], count: int) -> None:
    """Write the three databases, of ``count`` rows in all, and the lists of rows.

    Args:
        folder: where they go.
        z: atomic numbers (N,), the `HEAVY` first.
        frames: conformations (F, N, 3) Å, which repeat.
        count: of rows.
    """
    rng, rows = np.random.default_rng(5), {}
    for part, share in PARTS.items():
        rows[part] = max(40, count * share // sum(PARTS.values()))
        _database(folder / f"{part}.db", z, frames, rows[part], rng)
    order = 1 + rng.permutation(rows["reference"])
    ends = [int(rows["reference"] * TRAINED), int(rows["reference"] * (TRAINED + VALIDATED))]
    for name, ids in zip(("train", "validation", "test"), np.split(order, ends), strict=True):
        (folder / f"{name}_ids.txt").write_text("\n".join(map(str, np.sort(ids))) + "\n", encoding="utf-8")


def _database(path: Path, z: Sequence[int], frames: NDArray[np.float32], count: int, rng: np.random.Generator) -> None:
    path.unlink(missing_ok=True)
    with connect(path, type="db") as database:
        database.write(Atoms(numbers=z, positions=frames[0]), total_energy=ENERGY, data={"atomic_forces": []})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE information SET value = ? WHERE name = 'version'", (TEXT_DATA,))
        columns = [row[1] for row in connection.execute("PRAGMA table_info(systems)")]
        first = dict(zip(columns, connection.execute("SELECT * FROM systems").fetchone(), strict=True))
        species = connection.execute("SELECT Z, n FROM species").fetchall()
        for table in ("systems", "species", "keys", "number_key_values"):
            connection.execute(f"DELETE FROM {table}")
        marks = ", ".join("?" * len(columns))
        energies = ENERGY + rng.uniform(-0.5, 0.5, count)
        rows = (tuple(row.values()) for row in _rows(first, z, frames, energies, rng))
        connection.executemany(f"INSERT INTO systems VALUES ({marks})", rows)
        numbers = range(1, count + 1)
        connection.executemany("INSERT INTO species VALUES (?, ?, ?)", ((*s, k) for k in numbers for s in species))
        connection.executemany("INSERT INTO keys VALUES ('total_energy', ?)", ((k,) for k in numbers))
        values = ((float(energies[k - 1]), k) for k in numbers)
        connection.executemany("INSERT INTO number_key_values VALUES ('total_energy', ?, ?)", values)
    connection.close()


def _rows(
    first: dict, z: Sequence[int], frames: NDArray[np.float32], energies: NDArray[np.float64], rng: np.random.Generator
) -> Iterator[dict]:
    """One row an energy: isomers, which are orders of the heavy atoms, take turns at random."""
    orders = [np.concatenate([rng.permutation(z[:HEAVY]), z[HEAVY:]]).astype("<i4").tobytes() for _ in range(36)]
    positions = [frame.astype("<f8").tobytes() for frame in frames]
    forces = [json.dumps({"atomic_forces": (0.1 * frame).astype(float).tolist()}) for frame in frames]
    isomers = rng.integers(len(orders), size=len(energies))
    for k, energy in enumerate(energies):
        yield first | {
            "id": k + 1,
            "unique_id": f"{int(rng.integers(2**62)):016x}{k:016x}",
            "numbers": orders[isomers[k]],
            "positions": positions[k % len(frames)],
            "key_value_pairs": json.dumps({"total_energy": float(energy)}),
            "data": forces[k % len(frames)],
        }
