"""What a scale comprises: which notebook shows which runs, what lacks records, which weights are shipped."""

from math import isnan

import pytest

from lib import campaign
from lib.own import learning_curve
from lib.paths import ROOT
from lib.report import dynamics, tables
from lib.runs import runner
from lib.runs.results import find_record
from lib.study import arms as study_arms
from lib.study import cost as study_cost
from lib.study import matrix
from lib.study.cells import Cell, Pair, members
from lib.study.scales import get_scale


def test_weights_that_are_shipped_are_the_first_seeds_pretraining_and_the_potentials_of_dynamics():
    """Others can be trained again; the project is to stay small."""
    scale = get_scale("smoke")
    found = campaign.shipped("smoke")
    potentials = {config.key() for config in dynamics.default_runs(scale) if config.labelled}
    assert potentials < found
    assert len(found) == 2 * len(scale.models) + len(potentials)
    assert {scale.pretrain(model, 0).key() for model in scale.models} < found
    assert scale.smooth().pretrain("egnn", 0).key() in found
    assert not found & {scale.pretrain("egnn", 1).key(), scale.pretrain("egnn", 0, sigma=0.5).key()}


def test_shipped_weights_are_in_the_box_where_their_runs_are_recorded():
    """So that notebooks 10 and 11 run potentials without training any."""
    potentials = learning_curve.example_potentials("laptop")
    assert len(potentials) == len(get_scale("laptop").seeds)
    assert campaign.shipped("laptop") >= set(potentials)
    lacking = [key for key in campaign.shipped("laptop") if (r := find_record(key)) and not r.has_weights()]
    assert not lacking
    assert learning_curve.example_potentials("smoke") == []  # nothing is recorded at this scale


def test_every_run_belongs_to_a_notebook_that_is_there():
    """A forgotten item would never be trained before its notebook is drawn from records."""
    shown = {item for items in campaign.NOTEBOOKS.values() for item in items}
    assert shown == set(campaign.items_of("smoke"))
    assert all((ROOT / "notebooks" / f"{name}.ipynb").exists() for name in campaign.NOTEBOOKS)


def test_notebooks_that_lack_records_are_left_out(tmp_path, monkeypatch):
    """Only where the scale has records at all; with them, training is named as what it costs."""
    monkeypatch.setattr(campaign, "RECORDS", tmp_path)
    monkeypatch.setattr(study_cost, "is_available", lambda config, weights: False)
    asked = ["01_pretraining", "08_settings_and_cost", "10_forces", "a stranger's"]
    assert campaign.left_out("smoke", asked) == {}
    (tmp_path / "smoke").mkdir()
    found = campaign.left_out("smoke", asked)
    assert list(found) == ["01_pretraining", "10_forces"] and min(found.values()) > 0
    items = campaign.items_of("smoke")
    once = {config.key(): config for item in campaign.NOTEBOOKS["10_forces"] for config in items[item]}
    cost = study_cost.todo(get_scale("smoke"), "", list(once.values()))[study_cost.MINUTES]
    assert found["10_forces"] == cost  # a run that several items share is trained once
    monkeypatch.setattr(study_cost, "is_available", lambda config, weights: True)
    assert campaign.left_out("smoke", asked) == {}
    monkeypatch.setattr(study_cost, "is_available", lambda config, weights: not weights)
    assert list(campaign.left_out("smoke", asked)) == ["10_forces"]  # dynamics wants the potentials themselves


def test_where_no_speed_was_measured_nothing_is_split_for_the_plan(monkeypatch):
    """At the paper's size a split takes seconds, and the plan has hundreds of runs."""
    monkeypatch.setattr(study_cost, "is_available", lambda config, weights: False)
    monkeypatch.setattr(study_cost, "splits", lambda config: pytest.fail("it was split"))
    wide = get_scale("wide")
    assert isnan(study_cost.todo(wide, "", [wide.pretrain("egnn", 0)])[study_cost.MINUTES])


def test_a_pretraining_that_is_trained_again_for_its_weights_is_counted_once(monkeypatch):
    """It is recorded without them, and runs of several rows start from it."""
    scale = get_scale("smoke")
    monkeypatch.setattr(study_cost, "is_available", lambda config, weights: not (weights or config.labelled))
    monkeypatch.setattr(runner, "is_available", lambda config, weights: not (weights or config.labelled))
    monkeypatch.setattr(study_cost, "_seconds", lambda scale, config: 60.0)
    runs = [scale.finetune(Cell("egnn", data, True), 1e-3, 0) for data in ("ani1", "ani1x")]
    counted = set()
    rows = [study_cost.todo(scale, "", [run], counted=counted)[study_cost.MINUTES] for run in runs]
    assert rows == [2.0, 1.0] and counted == {runs[0].pretrained.key()} == {runs[1].pretrained.key()}
    assert study_cost.todo(scale, "", runs)[study_cost.MINUTES] == 3.0


def test_a_notebook_shows_the_pairs_whose_runs_are_all_available(monkeypatch):
    """One run that is missing, of one arm, leaves out both arms; nothing there is an error that says what to do."""
    scale = get_scale("smoke")
    pairs = matrix.pairs(["egnn", "schnet"], ["md22/DHA", "md22/AT-AT"])
    lost = study_arms.cell_runs(scale, pairs[0].pretrained)[0].key()  # EGNN, DHA
    monkeypatch.setattr(study_arms, "is_available", lambda config, weights: config.key() != lost)
    assert study_arms.pairs_to_show(scale, pairs, None, study_arms.LEAVE_OUT) == pairs[1:]
    assert study_arms.pairs_to_show(scale, pairs, None, study_arms.TRAIN) == pairs
    assert campaign.in_part("smoke", ["05_md22", "02_ani1_and_ani1x"]) == ["05_md22"]
    with pytest.raises(ValueError, match="missing = 'forget': choose from"):
        study_arms.pairs_to_show(scale, pairs, None, "forget")
    monkeypatch.setattr(study_arms, "is_available", lambda config, weights: False)
    with pytest.raises(ValueError, match=r"none of 4 pairs .* set missing = 'train'"):
        study_arms.pairs_to_show(scale, pairs, None, study_arms.LEAVE_OUT)
    assert campaign.in_part("smoke", ["05_md22"]) == []


def test_a_job_of_a_cluster_is_given_time_for_what_it_trains(monkeypatch):
    """The first seed has more runs; a scale whose speed was not measured is not opened: it may have no data."""
    monkeypatch.setattr(study_cost, "is_available", lambda config, weights: False)
    first, second = (campaign.shard_minutes("smoke", "egnn", seed) for seed in (0, 1))
    assert first > second > 0
    yardsticks = study_arms.yardsticks(
        get_scale("smoke"), campaign.YARDSTICK, get_scale("smoke").systems, campaign.YARDSTICK_RATE, 0
    )
    keys = {config.key() for config in yardsticks}
    monkeypatch.setattr(study_cost, "is_available", lambda config, weights: config.key() not in keys)
    assert campaign.shard_minutes("smoke", campaign.YARDSTICK, 0) > 0, "a yardstick is trained by that job too"
    assert campaign.shard_minutes("smoke", campaign.YARDSTICK, 1) == 0
    assert isnan(campaign.shard_minutes("paper", "egnn", 0))
    monkeypatch.setattr(study_cost, "is_available", lambda config, weights: True)
    assert campaign.shard_minutes("smoke", "egnn", 0) == 0
    assert [study_cost.job_minutes(minutes) for minutes in (float("nan"), 0.0, 100.1)] == [1440, 30, 301]


def test_unknown_minutes_are_said_in_words():
    assert study_cost.in_words(float("nan")) == "an unknown number of core-minutes"
    assert [study_cost.in_words(m) for m in (0.26, 197.4)] == ["about 0.3 core-minutes", "about 197 core-minutes"]


def test_arms_come_with_the_seeds_that_are_there(monkeypatch):
    """A seed that lacks a run of one arm is left out of both; a pair without seeds is left out; nothing is trained."""
    scale = get_scale("smoke")
    pairs = matrix.pairs(["egnn", "schnet", "torchmd_net"], ["ani1x"])
    of_egnn, of_schnet = (study_arms.cell_runs(scale, cell) for cell in (pairs[0].pretrained, pairs[1].scratch))
    lost = [of_egnn[1].key(), *(config.key() for config in of_schnet)]
    asked = []
    monkeypatch.setattr(study_arms, "is_available", lambda config, weights: config.key() not in lost)
    monkeypatch.setattr(study_arms, "run_all", lambda configs, *_: asked.extend(configs) or [None] * len(configs))
    arms = study_arms.available_arms(scale, pairs)
    assert [Pair(arm.scratch.cell, arm.pretrained.cell) for arm in arms] == [pairs[0], pairs[2]]
    assert [len(arm.results) for arm in members(arms)] == [1, 1, 2, 2]
    assert not set(lost) & {config.key() for config in asked}
    layers = scale.pretrain("torchmd_net", 0).key()  # it would be trained for a fine-tuning that is recorded
    monkeypatch.setattr(study_arms, "is_available", lambda config, weights: config.key() not in [*lost, layers])
    assert [len(arm.results) for arm in members(study_arms.available_arms(scale, pairs))] == [1, 1, 1, 1]
    monkeypatch.setattr(study_arms, "is_available", lambda config, weights: False)
    assert study_arms.available_arms(scale, pairs) == []
    assert len(tables.comparison_table(scale, [], "Table 2")) == 0


@pytest.mark.parametrize("book", campaign.DIVISIBLE)
def test_divisible_notebooks_have_the_parameter(book):
    source = (ROOT / "notebooks" / f"{book}.ipynb").read_text(encoding="utf-8")
    assert 'missing = \\"train\\"' in source
    assert "study.pairs_to_show(" in source
