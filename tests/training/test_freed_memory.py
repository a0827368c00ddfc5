"""Large arrays are given back where a fit has grown by half of what the machine had left."""

import math

import pytest

from lib.training import memory
from lib.training.memory import FreedMemory

GIB = 2.0**30


@pytest.fixture
def machine(monkeypatch):
    """What the process has and what the machine has left, in GiB, and after which steps arrays were given back."""
    state = {"own": 1.0, "left": 20.0, "given back": []}
    monkeypatch.setattr(memory, "own_memory", lambda: state["own"] * GIB)
    monkeypatch.setattr(memory, "available_memory", lambda: state["left"] * GIB)
    monkeypatch.setattr(memory, "give_back_large_arrays", lambda: state["given back"].append(state["step"]))
    return state


def after_steps(machine, own):
    callback = FreedMemory()
    for step, machine["own"] in enumerate(own):
        machine["step"] = step
        callback.on_train_batch_end(None, None)
        machine["left"] = 0.0  # what is left later is not what the limit is of
    return machine["given back"]


def test_growth_by_half_of_what_was_left_ends_it(machine):
    assert after_steps(machine, [4, 8, 13.9, 14.1, 4, 13.9]) == [3]


def test_it_is_given_back_again_where_it_has_grown_again(machine):
    assert after_steps(machine, [4, 15, 4, 15]) == [1, 3]


def test_validation_counts_once_there_is_a_limit(machine):
    callback = FreedMemory()
    machine.update(step=0, own=15.0)
    callback.on_validation_batch_end(None, None)  # before the first step, as Lightning tries validation
    machine.update(own=4.0)
    callback.on_train_batch_end(None, None)
    machine.update(step=1, own=14.1)
    callback.on_validation_batch_end(None, None)
    assert machine["given back"] == [1]


def test_a_system_that_does_not_tell_is_left_alone(machine):
    assert after_steps(machine, [math.nan, math.nan, math.nan]) == []
