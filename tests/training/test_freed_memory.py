"""Freed memory is given back where a fit has grown to much more than its steps need, or than the machine has left."""

import math

import pytest

from lib.training import memory
from lib.training.memory import FreedMemory

GIB = 2.0**30


@pytest.fixture
def machine(monkeypatch):
    """What the process has and what the machine has left, in GiB, and after which steps memory was given back."""
    state = {"own": 1.0, "left": 100.0, "given back": []}
    monkeypatch.setattr(memory, "own_memory", lambda: state["own"] * GIB)
    monkeypatch.setattr(memory, "available_memory", lambda: state["left"] * GIB)
    monkeypatch.setattr(memory, "give_back_freed_memory", lambda: state["given back"].append(state["step"]))
    return state


def after_steps(machine, own):
    callback = FreedMemory()
    for step, machine["own"] in enumerate(own):
        machine["step"] = step
        callback.on_train_batch_end(None, None)
    return machine["given back"]


def test_growth_to_twice_what_a_step_needs_is_given_back(machine):
    assert after_steps(machine, [4, 5, 7.9, 8.1, 4.5, 8.2, 9.1]) == [3, 6]  # the step after it needed 4.5


def test_what_a_step_needs_is_the_most_that_one_needed(machine):
    assert after_steps(machine, [4, 8.1, 1, 2.1, 7.9, 8.1]) == [1, 5]  # a small batch after it says nothing


def test_growth_takes_no_more_than_half_of_what_the_machine_has_left(machine):
    machine["left"] = 6.0
    assert after_steps(machine, [13, 15.9, 16.1]) == [2]


def test_a_system_that_does_not_tell_is_left_alone(machine):
    assert after_steps(machine, [math.nan, math.nan, math.nan]) == []
