"""`FineTuning`: what it refuses, what it plans, what it starts from, and that the plan is what runs."""

from dataclasses import replace
from math import ceil

import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from lib import load_pretrained
from lib.own import datasets
from lib.own.configs import fine_tune, pretrain_on
from lib.own.findings import ERROR, WARNING, Finding
from lib.own.finetuning import FineTuning
from lib.paths import DATA
from lib.runs import runner
from lib.runs.runner import run
from lib.study.scale import FORCE_WEIGHT
from lib.study.scales import get_scale
from lib.training.execution import QUIET

FILE = DATA / "mini" / "example" / "methyl-salicylate.xyz"
WEIGHTS = "schnet-smoke-dynamics"


@pytest.fixture(scope="module")
def frames():
    return read(FILE, ":60")


@pytest.fixture
def dataset(frames, tmp_path):
    write(tmp_path / "my.xyz", frames, format="extxyz")
    return datasets.own_dataset(tmp_path / "my.xyz", "eV")


def test_what_it_runs(dataset):
    """A learning rate is chosen at the first seed; every seed starts from the same layers, with forces in the loss."""
    layers = FineTuning.layers(WEIGHTS)
    tuning = FineTuning(dataset, WEIGHTS, layers, labels=20, rates=(1e-3, 3e-3), seeds=(4, 5))
    assert tuning.scan() == [fine_tune(WEIGHTS, dataset, layers, rate, 4, 20, FORCE_WEIGHT) for rate in (1e-3, 3e-3)]
    assert tuning.configs(3e-3) == [fine_tune(WEIGHTS, dataset, layers, 3e-3, s, 20, FORCE_WEIGHT) for s in (4, 5)]
    assert replace(tuning, rates=None).candidates() == get_scale("smoke").rates_of("own/my")
    assert {c.training.force_weight for c in replace(tuning, force_weight=0.0).configs(1e-3)} == {0.0}


def test_what_it_starts_from(dataset, frames, tmp_path):
    write(tmp_path / "pool.xyz", frames, format="extxyz")
    pool = datasets.unlabelled_dataset(tmp_path / "pool.xyz")
    assert FineTuning(dataset, WEIGHTS).pretraining(3) is None
    elsewhere = FineTuning(dataset, WEIGHTS, pool, pretraining_rate=1e-4)
    assert elsewhere.pretraining(3) == pretrain_on(WEIGHTS, pool, 3, 1e-4)
    itself = FineTuning(dataset, WEIGHTS, datasets.unlabelled_dataset(tmp_path / "my.xyz"))
    assert itself.pretraining(3) == pretrain_on(WEIGHTS, dataset, 3)  # without the conformations that test
    assert itself.pretraining(3).strict_split
    texts = [f.text for f in elsewhere.inspect()]
    assert any("6 of 6 test conformations of seed 0" in text and str(tmp_path / "pool.xyz") in text for text in texts)
    assert not any("test conformations" in f.text for f in itself.inspect())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seeds": ()}, r"seeds = \[\]: give at least one"),
        ({"seeds": (0, 0)}, r"seeds = \[0, 0\]: .*each once"),
        ({"rates": ()}, r"learning rates = \[\]"),
        ({"rates": (1e-3, 1e-3)}, "each once"),
        ({"pretraining_rate": 1e-3}, "pretraining_rate = 0.001 .*name them with --pretrain-on"),
        ({"weights": "egnn"}, "no pre-trained weights 'egnn': choose from"),
    ],
)
def test_what_it_refuses(dataset, change, said, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "RUNS", tmp_path)  # other tests may have trained these layers
    with pytest.raises(ValueError, match=said):
        FineTuning(**{"data": dataset, "weights": WEIGHTS} | change)
    with pytest.raises(ValueError, match="neither shipped nor trained here: train them with"):
        FineTuning.layers("schnet-smoke", trained=True)


def test_the_plan_is_what_runs(dataset, tmp_path):
    tuning = FineTuning(dataset, WEIGHTS, rates=(3e-3,), seeds=(0, 1), labels=20)
    plan = tuning.plan()
    assert (plan.train, plan.validation, plan.test, plan.runs) == (20, 6, 6, 2)
    assert str(plan).startswith("seed 0: 20 to train, 6 to validate, 6 to test; runs: 2 of some 120 steps, about ")
    results = tuning.train(workers=1)
    assert [result.about["steps"] for result in results] == [plan.steps] * 2
    assert plan.steps == results[0].about["config"]["training"]["epochs"] * ceil(20 / 8)
    paths = tuning.export(results, tmp_path / "out")
    assert [path.parent.name for path in paths] == ["out", "out"]
    assert len(load_pretrained(paths).calculator().potential.members) == 2


def test_the_plan_leaves_out_what_was_trained_from_the_same_start(dataset, monkeypatch):
    """The same run from scratch is another one."""
    tuning = FineTuning(dataset, WEIGHTS, FineTuning.layers(WEIGHTS), rates=(3e-3,), labels=20)
    for source, missing in ((tuning.source, False), (None, True)):
        there = {config.key() for config in replace(tuning, source=source).configs(3e-3)}
        monkeypatch.setattr(
            "lib.own.finetuning.is_available", lambda config, weights, there=there: config.key() in there
        )
        assert (tuning.plan().minutes > 0) == missing


def test_what_is_odd_is_said_in_a_line(dataset, frames, tmp_path):
    assert str(Finding(ERROR, "0-H2O", "too short; do this")) == "error: 0-H2O: too short; do this"
    assert str(Finding(WARNING, "", "odd")) == "warning: odd"
    sulfur = [atoms.copy() for atoms in frames]
    for atoms, old in zip(sulfur, frames, strict=True):
        atoms.symbols[0] = "S"
        atoms.calc = SinglePointCalculator(atoms, energy=old.get_potential_energy())
        atoms.set_array("gradient", old.get_forces())
    write(tmp_path / "s.xyz", sulfur, format="extxyz")
    tuning = FineTuning(datasets.own_dataset(tmp_path / "s.xyz", "eV"), WEIGHTS, FineTuning.layers(WEIGHTS))
    said = [str(finding) for finding in tuning.inspect()]
    assert "warning: no forces under 'forces', but arrays ['gradient']: name one with forces_key (--forces-key)" in said
    assert any(line.startswith(f"warning: the pre-training of {WEIGHTS} has not met S: ") for line in said)
    assert not any("has not met" in str(finding) for finding in replace(tuning, source=None).inspect())


def test_logs_are_those_of_runs_that_are_still_to_be_trained(dataset):
    """The first line of the log is there when the run ends, in the run's own folder."""
    tuning = FineTuning(dataset, WEIGHTS, rates=(3e-3,), seeds=(0, 1), labels=20, epochs=1)
    configs = tuning.configs(3e-3)
    paths = [path for _, path in FineTuning.logs(configs)]
    assert [path.parent.name for path in paths] == [f".{config.key()}" for config in configs]
    result = run(configs[0], QUIET)
    assert [config.seed for config, _ in FineTuning.logs(configs)] == [1]
    assert "energy: starts at step 0 of 3" in (result.path / paths[0].name).read_text(encoding="utf-8")
