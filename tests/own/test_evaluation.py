"""A potential against labels: every number of the table from predictions that are off by known amounts."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from lib import load_pretrained
from lib.data.datasets import open_store
from lib.own import datasets
from lib.own.evaluation import ENERGY, FORCE, NO_GROUP, PER_ATOM, SHIFTED, compare
from lib.paths import DATA
from lib.potentials.ensemble import Evaluation
from lib.report.figures.evaluation import parity_of_frames
from lib.units import EV

FILE = DATA / "mini" / "example" / "methyl-salicylate.xyz"


@pytest.fixture
def dataset(tmp_path):
    """Forty frames, every fourth one of the group ``hot``; the last one has no group."""
    frames = read(FILE, ":40")
    for k, atoms in enumerate(frames[:-1]):
        atoms.info["config_type"] = "cold" if k % 4 else "hot"
    write(tmp_path / "my.xyz", frames, format="extxyz")
    return datasets.own_dataset(tmp_path / "my.xyz", "eV", level="GFN2-xTB")


def off_by(store, energies, forces):
    """A potential of one member that is off by ``energies`` (M,) kcal/mol and ``forces`` (M,) kcal/mol/Å."""
    place = {"start": 0}

    def evaluate(types, positions):
        index = place["start"] + np.arange(len(types))
        place["start"] += len(types)
        away = np.repeat(forces[index], [len(t) for t in types])[:, None]
        return Evaluation((store.energy(index) + energies[index])[None], (store.gather_forces(index) + away)[None])

    return SimpleNamespace(members=[None], evaluate=evaluate)


@pytest.mark.parametrize("at_once", [7, 2000])
def test_every_number_of_the_table(dataset, at_once, monkeypatch):
    monkeypatch.setattr("lib.own.evaluation.AT_ONCE", at_once)
    store, rng = open_store(dataset), np.random.default_rng(0)
    energies, forces = rng.normal(3.0, 1.0, 40), rng.normal(0.0, 2.0, 40)
    comparison = compare(off_by(store, energies, forces), dataset)
    table = comparison.table().set_index(["group", "quantity"])
    assert set(table.index.get_level_values(0)) == {"all", "hot", "cold", NO_GROUP}
    hot = np.arange(40) % 4 == 0
    for group, own in (("all", np.ones(40, dtype=bool)), ("hot", hot)):
        error = energies[own]
        expected = {ENERGY: error, SHIFTED: error - error.mean(), PER_ATOM: error / 19, FORCE: forces[own]}
        for quantity, values in expected.items():
            row = table.loc[(group, quantity)]
            assert row["frames"] == own.sum()
            assert row["rmse (kcal/mol)"] == pytest.approx(np.sqrt((values**2).mean()), rel=1e-4)
            assert row["mae (kcal/mol)"] == pytest.approx(np.abs(values).mean(), rel=1e-4)
            assert row["rmse (meV)"] == pytest.approx(1000 / EV * row["rmse (kcal/mol)"])
    np.testing.assert_allclose(
        comparison.forces["prediction"] - comparison.forces["label"], np.repeat(forces, 57), atol=1e-4
    )


def test_the_worst_frames_come_first(dataset):
    energies, forces = np.full(40, 5.0), np.full(40, 0.1)
    energies[17], energies[3], forces[8] = 15.0, -3.0, 9.0
    worst = compare(off_by(open_store(dataset), energies, forces), dataset).worst(2)
    assert worst["frame"].tolist()[:3] == [17, 3, 8]
    assert worst.iloc[0]["error"] == pytest.approx(10.0 + 5.0)


def test_files_and_picture(dataset, tmp_path):
    comparison = compare(off_by(open_store(dataset), np.ones(40), np.ones(40)), dataset)
    table, frames = comparison.save(tmp_path / "out", "test")
    assert pd.read_csv(table)["rmse (meV)"].iloc[0] == pytest.approx(1000 / EV, rel=1e-5)
    assert pd.read_csv(frames)["frame"].tolist() == list(range(40))
    figure = parity_of_frames(comparison.frames, comparison.forces)
    assert len(figure.axes) == 2
    assert len(parity_of_frames(comparison.frames, comparison.forces.iloc[:0]).axes) == 1


def test_molecules_of_a_mixed_file_keep_their_frames(tmp_path):
    """Two formulas in turns, without forces: frame numbers and groups are those of the file."""
    mixed = []
    for k, atoms in enumerate(read(FILE, ":6")):
        one = atoms.copy()
        if k % 2:
            del one[[12]]
        one.info["config_type"] = f"kind {k % 2}"
        one.calc = SinglePointCalculator(one, energy=-900.0 - k)
        mixed.append(one)
    write(tmp_path / "mixed.xyz", mixed, format="extxyz")
    dataset = datasets.own_dataset(tmp_path / "mixed.xyz", "eV")
    store = open_store(dataset)
    potential = SimpleNamespace(
        members=[None],
        evaluate=lambda types, positions: Evaluation(
            store.energy(np.arange(6))[None], np.zeros((1, sum(map(len, types)), 3))
        ),
    )
    comparison = compare(potential, dataset)
    assert sorted(comparison.frames["frame"]) == list(range(6))
    assert all(
        f"kind {frame % 2}" == group
        for frame, group in zip(*comparison.frames[["frame", "group"]].T.values, strict=True)
    )
    assert FORCE not in set(comparison.table()["quantity"])
    assert comparison.forces.empty
    ordered = comparison.frames.sort_values("frame")
    np.testing.assert_allclose(ordered["label"] / EV, [-900.0 - k for k in range(6)])


def test_a_potential_that_was_trained_elsewhere():
    """The shipped ensemble of methyl salicylate: errors are those of the calculator."""
    dataset = datasets.own_dataset(FILE, "eV", level="GFN2-xTB")
    calculator = load_pretrained("torchmd_net-laptop-dynamics-extensive-methyl-salicylate").calculator()
    frames = read(FILE, ":3")
    comparison = compare(calculator.potential, dataset)
    assert (comparison.frames["spread"] > 0).all()
    for row, atoms, answer in zip(comparison.frames.itertuples(), frames, calculator.evaluate(frames), strict=False):
        assert row.error == pytest.approx((answer["energy"] - atoms.get_potential_energy()) * EV, abs=0.02)
        off = (answer["forces"] - atoms.get_forces()) * EV
        assert row.force_rmse == pytest.approx(np.sqrt((off**2).mean()), rel=1e-3)
