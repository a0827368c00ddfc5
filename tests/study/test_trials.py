"""Trials: which rates are tried, which runs follow, and what is left out while runs are missing."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lib.cli.main import main
from lib.models.transfer import ALL, LAYERS
from lib.runs.results import Result
from lib.runs.selection import select, splits
from lib.study import amount, trials
from lib.study.arms import LEAVE_OUT
from lib.study.cells import Cell
from lib.study.equilibrium import EQUILIBRIUM_MODELS, MANY, PAIRS, REPEATED, SUITE, equilibrium_trial, sources
from lib.study.head import head_trial
from lib.study.label_counts import COUNTED_MODELS, COUNTS, EPOCHS, STEPS, count_trial, count_trials
from lib.study.labels import labels_trial
from lib.study.published import LABELS, published_trial
from lib.study.questions import TRIALS, trials_of
from lib.study.read_out import dynamics_trial, read_out_trial
from lib.study.scales import get_scale
from lib.study.trials import (
    PRETRAINED,
    Trial,
    arms_of,
    chosen_rate,
    left_out,
    next_runs,
    run_trial,
    tried_rates,
)

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
def fails():
    """Keys of runs that end with a large error."""
    return set()


@pytest.fixture
def store(monkeypatch, fails):
    """Runs that were trained, by key; an arm's best rate is as its name says, but where the fixture `fails` a run."""
    done = {}

    def run_all(configs, *_):
        for config in configs:
            assert config.key() not in done, "trained twice"
            failed = 100.0 * (config.key() in fails)
            error = failed + abs(
                RATES.index(config.rate) - RATES.index({"low": 1e-4, "middle": 1e-3, "high": 1e-2}[config.arm])
            )
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


def test_a_rate_that_fails_another_seed_gives_way_to_the_next_best(store, fails):
    fails.add("high 0.01 5")
    run_trial(trial())
    assert chosen_rate(trial(), "high") == 3e-3
    assert [*arms_of(trial(), LEAVE_OUT)["high"].results] == [4, 5]
    assert {"high 0.01 5", "high 0.003 5"} <= set(store)
    assert len(store) == (4 + 3 + 3) + 3 + 1
    assert next_runs(trial()) == []


def test_seeds_that_differ_as_seeds_do_change_no_rate(store):
    run_trial(trial())
    other = Config("low", 1e-4, 5)
    store[other.key()] = replace(store[other.key()], metrics={"validation_rmse": 2.9})
    assert chosen_rate(trial(), "low") == 1e-4
    store[other.key()] = replace(store[other.key()], metrics={"validation_rmse": float("nan")})
    assert chosen_rate(trial(), "low") == 3e-4


def test_a_neighbour_is_tried_where_the_next_best_is_at_the_edge(store, fails):
    fails |= {"middle 0.001 5", "middle 0.003 4"}
    run_trial(trial())
    assert chosen_rate(trial(), "middle") == 3e-4
    assert [*tried_rates(trial(), "middle")] == [1e-4, 3e-4, 1e-3, 3e-3]


def test_arms_have_the_rate_that_validates_best_and_say_where_it_is_at_the_edge(store):
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


def test_the_command_says_what_is_missing_and_trains_the_trials_that_are_asked_for(store, monkeypatch, capsys):
    monkeypatch.setitem(TRIALS, "tiny", lambda: [trial(), trial(name="another, EGNN")])
    every_arm = ", ".join(f"{name} (0 of 2 seeds)" for name in ("low", "middle", "high"))
    assert main(["runs", "trials", "--scale", "tiny"]) == 0
    said = f"a trial: missing: {every_arm}\nanother, EGNN: missing: {every_arm}\n"
    assert capsys.readouterr().out == said and not store
    assert main(["runs", "trials", "--scale", "tiny", "--kind", "another", "--train"]) == 0
    assert capsys.readouterr().out == "another, EGNN: complete\n" and store
    assert main(["runs", "trials", "--scale", "tiny", "--kind", "EGNN"]) == 1
    assert "--kind EGNN: " in (error := capsys.readouterr().err) and "they begin with a trial, another" in error


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


def test_all_labels_are_one_trial_whatever_the_schedule_with_the_runs_of_their_scale():
    assert len(count_trials()) == len(COUNTED_MODELS) * (2 * len(COUNTS) - 1)
    keys = [
        {arm(rate, seed).key() for arm in each.arms.values() for rate in each.rates for seed in each.seeds}
        for each in (count_trial("egnn", None, schedule) for schedule in (STEPS, EPOCHS))
    ]
    scale = get_scale("all_labels")
    cells = [Cell("egnn", "ani1x", pretrained) for pretrained in (False, True)]
    matrix = {scale.finetune(c, r, s).key() for c in cells for r in scale.rates_of("ani1x") for s in scale.seeds}
    assert keys[0] == keys[1] == matrix


@pytest.mark.parametrize("pretrained", [False, True])
def test_fewer_labels_change_the_limits_and_on_one_schedule_the_epochs(pretrained):
    arm = PRETRAINED if pretrained else trials_of("laptop", "number of labels")[0].reference
    whole, steps, epochs = (
        count_trial("schnet", count, schedule).arms[arm](1e-3, 1)
        for count, schedule in ((None, STEPS), (250, STEPS), (250, EPOCHS))
    )
    assert (whole.pretrained is not None) == pretrained
    assert epochs == replace(whole, limits=epochs.limits)
    assert steps == replace(epochs, training=steps.training)
    assert (epochs.limits.train, epochs.training.epochs, steps.training.epochs) == (250, 10, 510)


def test_a_number_of_labels_or_a_schedule_that_is_unknown_is_named():
    with pytest.raises(ValueError, match="no number of labels 300: choose from"):
        count_trial("egnn", 300, STEPS)
    with pytest.raises(ValueError, match="schedule = 'as many days': choose from"):
        count_trial("egnn", 250, "as many days")


def test_scales_without_trials_are_named():
    with pytest.raises(ValueError, match="scale with trials"):
        trials_of("paper")


@pytest.mark.parametrize("name", [name for name in TRIALS if get_scale(name).suite == SUITE])
@pytest.mark.parametrize("model", EQUILIBRIUM_MODELS)
def test_pretrainings_of_the_title_take_the_same_steps_on_as_many_conformations(name, model):
    """And the pairs that are compared as many conformations; none has seen a test conformation."""
    scale, counts = get_scale(name), {}
    for arm, source in sources(scale, model).items():
        config = source(1)
        if config is None:
            continue
        train = select(config, splits(config))["train"]
        counts[arm] = sum(len(selection.index) for selection in train)
        steps = config.training.epochs * -(-counts[arm] // config.training.batch_size)
        whole = scale.pretrain(model, 1)
        known = sum(len(selection.index) for selection in select(whole, splits(whole))["train"])
        assert steps == pytest.approx(whole.training.epochs * -(-known // whole.training.batch_size), rel=0.06)
        assert config.training.epochs // config.training.validate_every == whole.training.epochs
        names = {dataset.name for dataset in config.data}
        assert config.strict_split == (names == {"mini/ani1", "mini/ani1x"})
    for relaxed_arm, other in PAIRS:
        assert counts[relaxed_arm] == pytest.approx(counts[other], rel=0.02)
    assert counts[MANY] == pytest.approx(counts[REPEATED], rel=0.02)


def test_amounts_of_pretraining_differ_in_what_they_say():
    scale = get_scale("laptop")
    made = {arm: source(1) for arm, source in amount.sources(scale, "egnn").items()}
    whole = made[amount.ALL]
    assert whole == scale.pretrain("egnn", 1)
    for arm, part in amount.PARTS.items():  # fewer conformations for as many steps
        number = sum(len(selection.index) for selection in select(made[arm], splits(made[arm]))["train"])
        assert number == pytest.approx(amount.POOL / part, rel=0.01)
        assert made[arm].training.epochs == whole.training.epochs * part
    for arm, times in amount.LONGER.items():
        assert made[arm] == replace(whole, training=whole.training.stretched(times))
    assert [dataset.name for dataset in made[amount.WITH_SPICE].data] == ["mini/ani1", "mini/ani1x", "mini/spice"]
    assert made[amount.WITH_SPICE].strict_split
    with pytest.raises(ValueError, match=r"arms \['none'\] are unknown: choose from"):
        amount.amount_trial(scale, "egnn", "ani1x", ["none"])


def test_the_relaxed_end_is_the_lower_half_of_mini_ani1_and_mini_ani1x_is_whole():
    scale = get_scale("laptop")
    for data, share in (("ani1", 0.5), ("ani1x", 1.0)):
        arms = equilibrium_trial(scale, "egnn", data).arms
        assert {arm(1e-3, 2).lowest for arm in arms.values()} == {share}
        assert {arm(1e-3, 2).data[0].name for arm in arms.values()} == {f"mini/{data}"}
        assert len({arm(1e-3, 2).pretrained for arm in arms.values()}) == len(arms)
    assert arms["scratch"](1e-3, 2) == scale.finetune(Cell("egnn", "ani1x", False), 1e-3, 2)
    assert arms["nonequilibrium, all"](1e-3, 2) == scale.finetune(Cell("egnn", "ani1x", True), 1e-3, 2)


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


def test_cheap_labels_come_before_the_runs_of_published_data():
    arms, known = labels_trial("egnn").arms, published_trial("egnn", LABELS["ani1x"]).arms
    assert arms["scratch"](1e-3, 2) == known["scratch"](1e-3, 2)
    assert arms["denoised"](1e-3, 2) == known["mini suite's geometries"](1e-3, 2)
    made = {arm: run(1e-3, 2) for arm, run in arms.items()}
    cheap, both = made["GFN2-xTB labels"], made["denoised, then GFN2-xTB labels"]
    assert cheap.pretrained.data[0].name == "mini/ani1x"
    assert cheap.pretrained.training.learns_forces
    assert (cheap.pretrained.pretrained, both.pretrained.pretrained) == (None, made["denoised"].pretrained)
    assert made["GFN2-xTB labels, layers alone"] == replace(cheap, transfer=LAYERS)
    told = made["GFN2-xTB labels, denoising told the forces"].pretrained
    assert told.settings.untold() == cheap.pretrained.settings
    assert told.training == replace(cheap.pretrained.training, noise_weight=told.training.noise_weight)
    noisy = made["noisy nodes"]
    assert replace(noisy, sigma=None, training=replace(noisy.training, noise_weight=0.0)) == made["scratch"]
    few = labels_trial("egnn", 0.25).arms["scratch"](1e-3, 2)
    assert (few.share, few.training.epochs) == (0.25, 4 * made["scratch"].training.epochs)
