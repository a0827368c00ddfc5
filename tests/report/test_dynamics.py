"""Potentials with a sharp and a smooth cutoff in dynamics, and the spread of an ensemble, at smoke scale."""

import numpy as np
import pytest

from lib.data.datasets import find, open_store
from lib.data.splits import Split
from lib.report import dynamics
from lib.report.statistics import errors_of
from lib.study.scales import get_scale

DATA, WEIGHT = "iso17", 10.0


@pytest.fixture(scope="module")
def scale():
    return get_scale("smoke")


@pytest.fixture(scope="module")
def runs(scale):
    return dynamics.sharp_and_smooth(scale, "schnet", DATA, WEIGHT, [0, 1], 1)


def test_sharp_has_one_seed_and_smooth_all(runs):
    found = {name: [(r.config.seed, r.config.settings["smooth_cutoff"]) for r in group] for name, group in runs.items()}
    assert found == {dynamics.SHARP: [(0, False)], dynamics.SMOOTH: [(0, True), (1, True)]}
    for group in runs.values():
        assert all(r.config.training.force_weight == WEIGHT for r in group)
        assert all(r.config.pretrained is not None for r in group)


def test_default_runs_are_those_of_the_notebook(scale, runs):
    default = {c.key() for c in dynamics.default_runs(scale)}
    assert {r.key for group in runs.values() for r in group} <= default
    assert len(default) == 3 + 3  # and their pre-trainings


def test_trajectories_start_alike_and_say_how_well_energy_is_kept(scale, runs):
    trajectories, start = dynamics.run_nve(scale, runs, DATA, picoseconds=0.01)
    assert list(trajectories) == [dynamics.SHARP, dynamics.SMOOTH, "smooth cutoff, half the step"]
    kinetic = [rows["kinetic"].iloc[0] for rows in trajectories.values()]
    np.testing.assert_allclose(kinetic, kinetic[0])
    table = dynamics.energy_conservation(trajectories, len(start))
    assert table["picoseconds"].tolist() == pytest.approx([0.01, 0.01, 0.001])
    assert (table["fluctuation"] < 1.0).all()  # meV/atom
    smooth = trajectories[dynamics.SMOOTH]
    first = dynamics.energy_conservation({dynamics.SMOOTH: smooth[smooth["time"] <= 0.001]}, len(start))["fluctuation"]
    assert table["fluctuation_at_first"][1] == pytest.approx(first[0])  # of the same time as with half the step
    assert table["fluctuation_at_first"][2] == pytest.approx(table["fluctuation"][2])


def test_the_ensemble_is_tested_on_molecules_that_no_seed_has_seen(scale, runs):
    errors = dynamics.ensemble_errors(scale, runs[dynamics.SMOOTH], DATA)
    index = runs[dynamics.SMOOTH][0].test_errors()["index"]
    energy = errors[errors["kind"] == "energy"]
    assert len(energy) == len(index)
    store = open_store(find(f"mini/{DATA}"))
    tested = set(store.molecule_of(index).tolist())
    for result in runs[dynamics.SMOOTH]:
        (path,) = result.path.glob("split-*.npz")
        parts = Split.load(path, store).parts
        assert not tested & set(store.molecule_of(np.concatenate([parts["train"], parts["validation"]])).tolist())
    direct = [errors_of(r).score("rmse", np.ones((1, 10_000)))[0] for r in runs[dynamics.SMOOTH][:1]]
    assert np.sqrt((energy["error"] ** 2).mean()) < 3 * direct[0]
    assert (errors["spread"] >= 0).all()
