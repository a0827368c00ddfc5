"""One thread and no denormal floats inside, and as before outside, whatever happens."""

import numpy as np
import pytest
import torch
from ase import Atoms
from tblite import interface

from lib.chemistry import xtb
from lib.machine import denormals_flushed, flush_denormals, one_thread

DENORMAL = 1e-39  # of float32, whose smallest normal number is about 1.2e-38


def test_threads_are_given_back():
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert torch.get_num_threads() == 2


def test_gfn2_xtb_works_on_one_thread_and_gives_the_others_back(monkeypatch):
    """A busy core makes it wait hundreds of times as long with several."""
    seen = []

    class Watched(interface.Calculator):
        """Notes how many threads there are at each single point."""

        def singlepoint(self, *arguments, **settings):
            seen.append(torch.get_num_threads())
            return super().singlepoint(*arguments, **settings)

    monkeypatch.setattr(interface, "Calculator", Watched)
    monkeypatch.setattr("tblite.ase.Calculator", Watched)
    torch.set_num_threads(2)
    hydrogen = Atoms("H2", [[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
    xtb.single_point(hydrogen.numbers, hydrogen.positions)
    xtb.dipole(hydrogen.numbers, hydrogen.positions)
    hydrogen.calc = xtb.ase_calculator()
    assert np.isfinite(hydrogen.get_potential_energy())
    assert seen == [1, 1, 1] and torch.get_num_threads() == 2


def half_of_a_normal_float() -> float:
    """Half of a float32 just above the smallest normal one, computed as training computes."""
    return float((torch.tensor([1.5e-38]) * 0.5).double())


@pytest.fixture
def can_flush():
    """Skip where the processor cannot; leave the setting as it was."""
    before = denormals_flushed()
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot take denormal floats as zero")
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(before)


@pytest.mark.usefixtures("can_flush")
def test_denormal_floats_are_zero_inside_and_back_outside():
    assert half_of_a_normal_float() > 0 and not denormals_flushed()
    with flush_denormals():
        assert half_of_a_normal_float() == 0 and denormals_flushed()
    assert half_of_a_normal_float() > 0 and not denormals_flushed()
    with pytest.raises(KeyError), flush_denormals():
        raise KeyError
    assert not denormals_flushed()


@pytest.mark.usefixtures("can_flush")
def test_who_flushes_already_still_does_afterwards():
    torch.set_flush_denormal(True)
    with flush_denormals():
        assert denormals_flushed()
    assert denormals_flushed()
