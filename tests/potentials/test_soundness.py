"""Measures of soundness, on potentials of random weights."""

import numpy as np
import pytest
import torch
from ase.build import molecule
from test_laws import potential

from lib.potentials import soundness


@pytest.fixture
def water():
    return molecule("H2O")


@pytest.mark.parametrize(("atomwise", "sound"), [(True, True), (False, False)])
def test_copies_and_distant_atoms_tell_read_outs_apart(atomwise, sound, water, tmp_path):
    trained = potential("schnet", torch.float64, tmp_path, atomwise=atomwise)
    table = soundness.copies(trained, water)
    assert list(table["copies"]) == [2, 3, 4]
    off = max(table["energy"].abs().max(), table["force"].max(), soundness.felt_far_away(trained, water))
    assert (off < 1e-4) == sound
    assert sound or off > 1.0
    assert soundness.felt_translation(trained, water) < 1e-3
    assert soundness.felt_rotation(trained, water) < 1e-3


def test_pairs_that_repel_fall_from_the_shortest_distance_on(tmp_path):
    curves = soundness.pair_curves(potential("schnet", torch.float64, tmp_path))
    assert set(curves["pair"]) == {"C-C", "C-H", "C-O", "H-H", "H-O", "O-O"}
    for _, curve in curves[curves["distance"] < 0.7].groupby("pair"):
        assert (np.diff(curve["energy"]) < 0).all() and curve["energy"].iloc[0] > 5
