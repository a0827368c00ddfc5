"""Potentials with a sharp and a smooth cutoff in dynamics, and the spread of an ensemble, at smoke scale."""

import numpy as np
import pytest

from lib.data.datasets import find, open_store
from lib.data.splits import Split
from lib.report import dynamics, trajectories
from lib.report.statistics import errors_of
from lib.runs.results import IGNORE
from lib.study.scales import get_scale
from lib.units import EV

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
    plans = dynamics.plan_nve(scale, runs, DATA, picoseconds=0.01)
    by_name, start = {name: plan.rows() for name, plan in plans.items()}, plans[dynamics.SMOOTH].start
    assert list(by_name) == [dynamics.SHARP, dynamics.SMOOTH, "smooth cutoff, half the step"]
    kinetic = [rows["kinetic"].iloc[0] for rows in by_name.values()]
    np.testing.assert_allclose(kinetic, kinetic[0])
    table = dynamics.energy_conservation(by_name, len(start))
    assert table["picoseconds"].tolist() == pytest.approx([0.01, 0.01, 0.001])
    assert (table["fluctuation"] < 1.0).all()  # meV/atom
    smooth = by_name[dynamics.SMOOTH]
    first = dynamics.energy_conservation({dynamics.SMOOTH: smooth[smooth["time"] <= 0.001]}, len(start))["fluctuation"]
    assert table["fluctuation_at_first"][1] == pytest.approx(first[0])  # of the same time as with half the step
    assert table["fluctuation_at_first"][2] == pytest.approx(table["fluctuation"][2])


def test_a_recorded_trajectory_is_read_and_its_beginning_repeated(scale, runs, tmp_path, monkeypatch):
    monkeypatch.setattr(trajectories, "RECORDS", tmp_path)
    plans = dynamics.plan_nve(scale, runs, DATA, picoseconds=0.02)
    plan, name = plans[dynamics.SMOOTH], "largest difference (meV/atom)"
    assert trajectories.repeat(plans).empty
    plan.record()
    assert plan.is_recorded()
    again = trajectories.repeat(plans, 0.01)
    assert again["potential"].tolist() == [dynamics.SMOOTH]
    assert again["picoseconds"].tolist() == pytest.approx([0.01])
    assert again[name][0] < 1e-3
    rows = plan.rows()
    np.testing.assert_allclose(rows["total"], plan.run_for(0.02)["total"], rtol=1e-6)
    rows.assign(total=rows["total"] + 1).to_csv(plan.path, index=False)  # of another potential
    assert trajectories.repeat(plans, 0.01)[name][0] == pytest.approx(1000 / EV / len(plan.start))
    monkeypatch.setenv(IGNORE, "1")
    assert not plan.is_recorded()


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
