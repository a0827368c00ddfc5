"""The released code's departures: what each does to a network or its labels, and the trials and table of the audit."""

from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_molecule
from small_models import build, molecules

from lib import models
from lib.batches import Batch, capped
from lib.data.loading import ConformationBatches, Selection, rounded_energy
from lib.data.readers import READERS
from lib.data.store import ConformationStore
from lib.models.egnn import EGNNSettings
from lib.report import audit as report
from lib.report.trials import TRIAL_COLUMNS
from lib.report.verdicts import AGAINST, CERTAIN
from lib.study.audit import DEPARTURES, PRETRAINED, RELEASED, SCRATCH, audit_trial, audit_trials, compared_arms
from lib.study.cells import Cell
from lib.study.large_systems import SCANNED, system_trials
from lib.study.library import LIBRARY_MODELS, library_trials
from lib.study.scales import get_scale
from lib.study.trials import TrialArm

LAPTOP = get_scale("laptop")


def crowded(order=None):
    """Twelve atoms of one molecule, all neighbours of one another, in another ``order`` where one is given."""
    z, pos, molecule = molecules(sizes=(12,))
    order = np.arange(12) if order is None else order
    return Batch.from_arrays(z[order], 0.5 * pos[order], molecule).to("cpu", torch.float64)


def test_a_cap_leaves_each_atom_its_first_neighbours_in_both_directions():
    batch = crowded()
    few = capped(batch, 4)
    assert torch.bincount(few.pairs[0], minlength=12).max() <= 4
    assert set(map(tuple, few.pairs.t().tolist())) == {(j, i) for i, j in few.pairs.t().tolist()}
    assert {tuple(pair) for pair in few.pairs.t().tolist()} == {(i, j) for i in range(5) for j in range(5) if i != j}
    assert torch.equal(capped(batch, 11).pairs, batch.pairs)
    half = few.pairs.shape[1] // 2
    assert torch.equal(few.pairs[:, :half], few.pairs[:, half:].flip(0))


@pytest.mark.parametrize("name", ["egnn", "torchmd_net"])
def test_energies_of_a_capped_network_depend_on_the_order_of_atoms(name):
    turned = np.arange(12)[::-1].copy()
    free, cut = build(name, torch.float64), build(name, torch.float64, max_neighbors=4)
    cut.load_state_dict(free.state_dict())
    assert cut.settings.of_layers() == free.settings
    one, other = (free(crowded(order), noise=False).energy for order in (None, turned))
    torch.testing.assert_close(one, other)
    one, other = (cut(crowded(order), noise=False).energy for order in (None, turned))
    assert abs((one - other).item()) > 1e-4
    with pytest.raises(ValueError, match="max_neighbors = 0 of egnn: give a whole number from 1 on"):
        models.build("egnn", {"max_neighbors": 0})


def test_tanh_in_denoising_alone_is_the_same_denoiser_and_another_energy():
    whole, half = build("egnn", torch.float64), build("egnn", torch.float64, energy_tanh=False)
    half.load_state_dict(whole.state_dict())
    assert torch.equal(whole(crowded()).noise, half(crowded()).noise)
    energies = [model(crowded(), noise=False).energy for model in (whole, half)]
    assert abs((energies[0] - energies[1]).item()) > 1e-6
    assert EGNNSettings(energy_tanh=False).of_layers() == EGNNSettings()
    assert build("egnn", torch.float64, tanh=False)(crowded(), noise=False).energy == energies[1]


def test_labels_in_float32_are_off_by_what_float32_cannot_tell_at_the_size_of_all_electrons(tmp_path):
    made = make_molecule("hexane", [6] * 6 + [1] * 14, 200, 0)
    store = ConformationStore.write([made], tmp_path / "s")
    index = np.arange(len(store))
    off = rounded_energy(store, index) - store.relative_energy(index)
    spacing = float(np.spacing(np.float32(6 * 37.8 * 627.5)))  # kcal/mol, about 0.016
    assert 0 < np.abs(off).max() <= spacing / 2 * 1.001
    data = ConformationBatches([Selection(store, index)], 5.0, single_precision=True)
    np.testing.assert_array_equal(data.energies(), rounded_energy(store, index))
    np.testing.assert_array_equal(data.noised(0.1).energies(), data.energies())


def test_misplaced_types_are_those_of_the_smiles_with_hydrogens_last(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["level_of_theory"] = "GFN2-xTB"
        group = file.create_group("methylamine")
        group["atomic_numbers"] = np.array([1, 7, 1, 6, 1, 1, 1, 1], dtype=np.int16)
        group["smiles"] = ["[H:1][N+:2]([H:3])([H:8])[C:4]([H:5])([H:6])[H:7]"]
        group["subset"] = ["any"]
        group["conformations"] = np.random.default_rng(0).normal(size=(2, 8, 3)).astype(np.float32)
        group["formation_energy"], group["dft_total_energy"] = np.zeros(2), np.zeros(2)
        group["dft_total_gradient"] = np.zeros((2, 8, 3), dtype=np.float32)
    (right,) = READERS["spice"](tmp_path / "a.hdf5")
    (wrong,) = READERS["spice"](tmp_path / "a.hdf5", misplaced=True)
    assert right.z.tolist() == [1, 7, 1, 6, 1, 1, 1, 1]
    assert wrong.z.tolist() == [7, 6, 1, 1, 1, 1, 1, 1]
    assert (right.charges.tolist(), wrong.charges.tolist()) == ([0, 1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(right.positions, wrong.positions)


@pytest.mark.parametrize("name", DEPARTURES)
def test_arms_that_follow_the_paper_are_its_runs_and_others_differ_in_the_departure_alone(name):
    departure = DEPARTURES[name]
    for model in departure.models:
        arms = audit_trial(LAPTOP, name, model).arms
        made = {arm: run(1e-3, 0) for arm, run in arms.items()}
        for arm, pretrained in ((SCRATCH, False), (PRETRAINED, True)):
            assert made[arm] == LAPTOP.finetune(Cell(model, departure.data, pretrained), 1e-3, 0)
        released = made[PRETRAINED + RELEASED]
        same = released.pretrained == made[PRETRAINED].pretrained
        assert same is not departure.of_pretraining
        assert (SCRATCH + RELEASED in made) is not departure.of_pretraining
        assert released != made[PRETRAINED]
        assert {arm for pair in compared_arms(departure) for arm in pair} == set(made)


def table(trials, signs):
    """Differences of the first trial, of two seeds, with gains of these ``signs``."""
    (departure, _), trial = next(iter(trials.items()))
    rows = [
        dict.fromkeys(TRIAL_COLUMNS, "")
        | {"trial": trial.name, "arm": after, "compared_with": before, "metric": "mae", "unit": "%", "sign": sign}
        | {"value": 10.0, "low": 5.0, "high": 15.0, "n_seeds": 2}
        for (before, after), sign in zip(compared_arms(DEPARTURES[departure]), (*signs, CERTAIN), strict=True)
    ]
    return pd.DataFrame(rows, columns=TRIAL_COLUMNS)


def test_both_gains_of_a_departure_are_of_the_seeds_that_all_arms_have():
    def arms(**seeds):
        """Arms with results by seed, whose numbers do not matter."""
        return {name: TrialArm(name, 1e-3, False, dict.fromkeys(own)) for name, own in seeds.items()}

    common = report._of_common_seeds(arms(scratch=(0, 1, 2), tuned=(0, 1, 2), released=(0, 2)))
    assert {name: list(arm.results) for name, arm in common.items()} == {key: [0, 2] for key in common}
    apart = arms(scratch=(0, 1, 2), released=())
    assert report._of_common_seeds(apart) == apart  # of an arm without results nothing is compared
    assert report._of_common_seeds({}) == {}


def test_the_table_says_which_departure_changes_a_conclusion_and_what_was_not_run():
    trials = audit_trials(LAPTOP)
    nothing = report.in_short(trials, report.audit_table(trials, {trial.name: {} for trial in trials.values()}))
    assert len(nothing) == len(trials)
    assert set(nothing.to_numpy().ravel()) == {report.NOT_RUN}
    for second, word in ((AGAINST, report.CHANGES), (CERTAIN, report.SAME)):
        short = report.in_short(trials, table(trials, (CERTAIN, second)))
        assert list(short[report.VERDICT])[:2] == [word, report.NOT_RUN]
        assert short.iloc[0][report.GAIN] == "10.0 % [5.0, 15.0]"
    case = f"{DEPARTURES['test geometries'].words} (EGNN)"
    assert f"That leave it as it is: {case}. " in report.finding(short)


def test_trials_of_newer_networks_and_of_large_systems_are_runs_of_the_matrix():
    named = [trial.name for trial in library_trials()]
    assert len(set(named)) == len(named) == 2 * 2 * len(LIBRARY_MODELS)
    trials = system_trials(LAPTOP)
    assert len(trials) == 2 * len(LAPTOP.systems)
    assert [trial.name.rpartition(" ")[2] for trial in trials[:2]] == list(SCANNED)
    assert trials[0].seeds == LAPTOP.seeds
    expected = LAPTOP.finetune(Cell("schnet", f"md22/{SCANNED[0]}", True), 1e-3, 2)
    assert trials[0].arms["pre-trained"](1e-3, 2) == expected
    assert set(trials[-1].rates) <= set(LAPTOP.rates_of("md22"))


def test_rounded_labels_belong_to_runs_with_labels():
    with pytest.raises(ValueError, match="single_precision = True with task 'denoising': it is of labels"):
        replace(LAPTOP.pretrain("egnn", 0), single_precision=True)
