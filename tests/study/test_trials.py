"""Trials: which rates are tried, which runs follow, and what is left out while runs are missing."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lib.models.weights import ALL, LAYERS
from lib.runs.results import Result
from lib.study import trials
from lib.study.arms import LEAVE_OUT
from lib.study.cells import Cell
from lib.study.head import head_trial
from lib.study.questions import TRIALS, trials_of
from lib.study.read_out import dynamics_trial, read_out_trial
from lib.study.scales import get_scale
from lib.study.trials import Trial, arms_of, chosen_rate, find_trial, left_out, next_runs, run_trial, tried_rates

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


@dataclass(frozen=True)
class Config:
    """Stands for a run."""

    arm: str
    rate: float
    seed: int

    def key(self):
        return f"{self.arm} {self.rate:g} {self.seed}"


@pytest.fixture
def store(monkeypatch):
    """Runs that were trained, by key; training one that decides makes rates near ``best`` validate best."""
    done = {}

    def run_all(configs, *_):
        for config in configs:
            assert config.key() not in done, "trained twice"
            error = abs(RATES.index(config.rate) - RATES.index({"low": 1e-4, "middle": 1e-3, "high": 1e-2}[config.arm]))
            done[config.key()] = Result(config.key(), Path(), {"validation_rmse": 1.0 + error}, {})

    monkeypatch.setattr(trials, "stored", lambda config: done.get(config.key()))
    monkeypatch.setattr(trials, "run_all", run_all)
    return done


def trial(**changes):
    arms = {name: lambda rate, seed, name=name: Config(name, rate, seed) for name in ("low", "middle", "high")}
    return replace(Trial("a trial", "which?", arms, RATES, (4, 5), "low"), **changes)


def test_rates_start_in_the_middle_and_grow_while_the_best_is_at_the_edge(store):
    run_trial(trial())
    assert [*tried_rates(trial(), "low")] == [1e-4, 3e-4, 1e-3, 3e-3]
    assert [*tried_rates(trial(), "middle")] == [3e-4, 1e-3, 3e-3]
    assert [*tried_rates(trial(), "high")] == [1e-3, 3e-3, 1e-2]
    assert {arm: chosen_rate(trial(), arm) for arm in trial().arms} == {"low": 1e-4, "middle": 1e-3, "high": 1e-2}
    assert len(store) == (4 + 3 + 3) + 3  # of the first seed, and the other seed at the rate chosen
    assert next_runs(trial()) == []


def test_arms_have_the_rate_of_the_first_seed_and_say_where_it_is_at_the_edge(store):
    run_trial(trial())
    arms = arms_of(trial(), LEAVE_OUT)
    assert {name: arm.at_edge for name, arm in arms.items()} == {"low": True, "middle": False, "high": True}
    assert [*arms["low"].results] == [4, 5]
    assert arms["low"].results[5].key == "low 0.0001 5"
    assert left_out(trial()) == []


def test_missing_runs_leave_out_their_seed_and_a_rate_that_is_not_decided_its_arm(store):
    run_trial(trial())
    del store["middle 0.001 5"], store["high 0.003 4"]
    arms = arms_of(trial(), LEAVE_OUT)
    assert [*arms] == ["low", "middle"]
    assert [*arms["middle"].results] == [4]
    assert left_out(trial()) == ["middle (1 of 2 seeds)", "high (0 of 2 seeds)"]
    assert [config.key() for config in next_runs(trial())] == ["middle 0.001 5", "high 0.003 4"]
    assert chosen_rate(trial(), "high") is None
    with pytest.raises(ValueError, match="missing = 'guess': choose from"):
        arms_of(trial(), "guess")


def test_one_rate_is_no_choice(store):
    run_trial(trial(rates=(1e-3,)))
    assert len(store) == 3 * 2
    assert not any(arm.at_edge for arm in arms_of(trial(rates=(1e-3,)), LEAVE_OUT).values())


def test_a_run_that_two_arms_share_is_trained_once(store):
    shared = trial().arms["low"]
    assert len(next_runs(trial(arms={"low": shared, "the same": shared}))) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reference": "none"}, "reference = 'none' of trial 'a trial': choose from"),
        ({"rates": ()}, "give candidates, ascending, each once"),
        ({"rates": (1e-3, 1e-4)}, "give candidates, ascending, each once"),
        ({"seeds": ()}, "give at least one"),
    ],
)
def test_trials_that_cannot_be_run_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        trial(**changes)


@pytest.mark.parametrize("scale", TRIALS)
def test_every_trial_of_a_scale_makes_runs_with_names_of_their_own(scale):
    known = trials_of(scale)
    assert len({trial.name for trial in known}) == len(known)
    for each in known:
        configs = [arm(each.rates[0], each.seeds[0]) for arm in each.arms.values()]
        assert len({config.key() for config in configs}) == len(configs)
        assert find_trial(known, each.name) is each
    with pytest.raises(ValueError, match="trial 'none' is unknown: choose from"):
        find_trial(known, "none")


def test_scales_without_trials_are_named():
    with pytest.raises(ValueError, match="scale with trials"):
        trials_of("paper")


def test_arms_of_the_read_out_share_layers_and_the_papers_runs():
    scale = get_scale("laptop")
    arms = read_out_trial(scale, "egnn", "ani1x").arms
    for pretrained, ending in ((False, "scratch"), (True, "pre-trained")):
        cell = Cell("egnn", "ani1x", pretrained)
        assert arms[f"pooled, {ending}"](1e-3, 2) == scale.finetune(cell, 1e-3, 2)
        summed, bare = (arms[f"{name}, {ending}"](1e-3, 2) for name in ("atoms", "atoms, inputs as they are"))
        assert summed.settings.atomwise
        assert summed.settings.of_layers() == scale.settings("egnn")
        assert summed.pretrained == scale.finetune(cell, 1e-3, 2).pretrained
        assert (summed.training.normalise, bare.training.normalise) == (True, False)
    arms = dynamics_trial(scale).arms
    pooled, summed = (arms[name](1e-3, 0) for name in ("pooled", "atoms"))
    assert pooled.settings == summed.settings.of_layers()
    assert (pooled.baseline, summed.baseline) == ("composition", "atoms")
    assert summed.settings.repulsion


def test_arms_of_the_head_differ_in_what_is_transferred_and_share_runs_with_the_matrix():
    scale = get_scale("laptop")
    arms = head_trial(scale, "schnet", "ani1x").arms
    assert arms["all"](1e-3, 2).transfer == ALL
    assert arms["layers"](1e-3, 2).transfer == LAYERS
    assert not arms["all"](1e-3, 2).training.normalise
    assert arms["all, inputs normalised"](1e-3, 2).training.normalise
    assert arms["scratch, inputs normalised"](1e-3, 2) == scale.finetune(Cell("schnet", "ani1x", False), 1e-3, 2)
    assert arms["layers, inputs normalised"](1e-3, 2) == scale.finetune(Cell("schnet", "ani1x", True), 1e-3, 2)
