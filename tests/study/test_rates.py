"""The choice of a learning rate: the best validation metric, and what is done while results are missing."""

from pathlib import Path

import pytest

from lib.errors import TrainingError
from lib.runs.results import Result
from lib.study import rates
from lib.study.cells import Cell, Pair, members
from lib.study.scales import get_scale


def result(validation):
    return Result("key", Path(), {"validation_rmse": validation}, {})


def test_the_lowest_validation_metric_decides_and_the_first_of_equal_ones():
    assert rates.choose_rate({1e-3: result(2.0), 3e-3: result(1.0), 1e-2: result(float("nan"))}) == 3e-3
    assert rates.choose_rate({1e-2: result(1.0), 1e-3: result(1.0)}) == 1e-2


def test_missing_results_are_refused_or_answered_by_the_first_candidate_as_asked():
    """Also where those that are there would decide for another."""
    results = {1e-3: result(2.0), 3e-3: result(1.0), 1e-2: None}
    with pytest.raises(ValueError, match=r"no result yet with the learning rates 0\.01: run them"):
        rates.choose_rate(results)
    assert rates.choose_rate(results, rates.FIRST) == 1e-3
    with pytest.raises(ValueError, match="missing = 'guess': choose from"):
        rates.choose_rate(results, "guess")
    with pytest.raises(ValueError, match="no candidate learning rates"):
        rates.choose_rate({}, rates.FIRST)


@pytest.mark.parametrize("missing", rates.MISSING)
def test_where_all_diverged_nothing_is_chosen(missing):
    diverged = {rate: result(float("nan")) for rate in (1e-3, 3e-3)}
    with pytest.raises(TrainingError, match=r"diverged with each of the learning rates 0\.001, 0\.003: try lower ones"):
        rates.choose_rate(diverged, missing)


def test_a_cell_of_one_candidate_has_it_without_a_scan():
    scale = get_scale("smoke")
    cell = Cell("egnn", "ani1x", True)
    assert rates.rate_of(scale, cell) == 3e-3
    assert rates.scan(scale, [cell]) == []


def test_a_scan_has_each_run_once_and_ignores_forces_that_are_not_learnt():
    scale = get_scale("laptop")
    cells = [Cell("egnn", "ani1", True), Cell("egnn", "iso17", True), Cell("egnn", "iso17", True, force_weight=0.0)]
    scan = rates.scan(scale, cells)
    assert [(c.data[0].name, c.training.learning_rate) for c in scan] == [
        ("mini/ani1x", rate) for rate in scale.rates_of("ani1x")
    ]


def test_pairs_are_named_and_unfold_from_scratch_first():
    pair = Pair(scratch=1, pretrained=2)
    assert [*pair] == [1, 2]
    assert members([pair, Pair(3, 4)]) == [1, 2, 3, 4]
