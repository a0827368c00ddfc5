"""Refusals that all rooms share."""

import pickle

import pytest

from lib.errors import DataError, look_up, required


def test_required_hands_on_a_value_and_names_a_missing_one():
    assert required(0.0, "sigma") == 0.0
    with pytest.raises(ValueError, match="sigma = None: a value is needed here"):
        required(None, "sigma")


def test_a_table_is_looked_up_by_names_or_numbers_and_a_refusal_lists_them():
    assert look_up({"a": 1}, "a", "thing") == look_up({250: 1}, 250, "number") == 1
    with pytest.raises(ValueError, match=r"no thing 'b': choose from \['a'\]"):
        look_up({"a": 1}, "b", "thing")
    with pytest.raises(ValueError, match=r"no number 7: choose from \[250\]"):
        look_up({250: 1}, 7, "number")


def test_an_error_comes_out_of_another_process_as_it_went_in():
    error = pickle.loads(pickle.dumps(DataError("a.xyz", "frame 3", "no energy", "name its key")))
    assert str(error) == "a.xyz, frame 3: no energy; name its key"
    assert (error.path, error.entry, error.problem, error.remedy) == ("a.xyz", "frame 3", "no energy", "name its key")
