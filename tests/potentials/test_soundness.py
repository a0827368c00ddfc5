"""Measures of soundness, on potentials of random weights and on calculators whose answer is known."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.morse import MorsePotential
from test_laws import potential

from lib.potentials import soundness


class Rough(Calculator):
    """A harmonic bond with ripples."""

    implemented_properties = ["energy"]  # noqa: RUF012 (the type that ASE gives it)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        d = atoms.get_distance(0, 1)
        self.results = {"energy": (d - 1.2) ** 2 + 0.02 * np.cos(60 * d)}


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
    table = soundness.repelled_within(curves).set_index("pair")
    assert (table["falls_until"] > 0.7).all()
    assert (table["at_shortest"] > 5).all()
    curves.loc[(curves["pair"] == "H-H") & (curves["distance"] < 0.4), "energy"] = -3.0
    assert soundness.repelled_within(curves).set_index("pair").loc["H-H", "lowest"] == -3.0


def test_a_smooth_bond_has_one_extremum_and_a_rough_one_more():
    pair = Atoms("CO", [[0, 0, 0], [0, 0, 1.2]])
    calculators = {"smooth": MorsePotential(r0=1.2, rcut1=8, rcut2=9), "rough": Rough()}
    scan = soundness.stretched(pair, calculators, (0, 1), np.linspace(0.9, 1.7, 81))
    counts = soundness.extrema(scan)
    assert counts["smooth"] == 1
    assert counts["rough"] > 5
    assert scan.loc[scan["smooth"].idxmin(), "length"] == pytest.approx(1.2, abs=0.011)
