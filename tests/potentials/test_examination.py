"""The examination finds what is wrong where something is: laws, holes, wavy bonds, drift, structures never seen."""

import numpy as np
import pandas as pd
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.morse import MorsePotential
from test_laws import potential

from lib.potentials import examination
from lib.potentials.calculator import PotentialCalculator
from lib.units import EV

PAIR = Atoms("CO", [[0, 0, 0], [0, 0, 1.2]])


class Rough(Calculator):
    """A harmonic bond with ripples."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 (the type that ASE gives it)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        d = atoms.get_distance(0, 1)
        along = atoms.get_distance(0, 1, vector=True) / d
        slope = 2 * (d - 1.2) - 1.2 * np.sin(60 * d)
        forces = slope * np.array([along, -along])
        self.results = {"energy": (d - 1.2) ** 2 + 0.02 * np.cos(60 * d), "forces": forces}


def test_laws_in_both_precisions(tmp_path):
    water, tables = molecule("H2O"), []
    for precision in ("float32", "float64"):
        trained = potential("schnet", getattr(torch, precision), tmp_path)
        tables.append(examination.laws(trained, water, precision))
    table = pd.concat(tables)
    assert (table["value"] >= 0).all()
    assert (table[table["precision"] == "float64"]["value"] < 1e-5).all()
    assert set(table["unit"]) == {"meV", "meV/angstrom"}
    broken = examination.laws(potential("schnet", torch.float64, tmp_path, atomwise=False), water, "float64")
    copies = broken.set_index("law")["value"]
    assert copies["energy of copies"] > 1
    assert copies["an atom 50 Å away"] > 1e-3
    assert copies["moved by 1e5 Å"] < 1e-3


def test_a_hole_is_a_rise_at_short_range():
    distance = np.arange(0.3, 1.5, 0.1)
    curves = {"fine": 10 - 8 * distance, "well": 10 - 8 * distance - 9 * (distance < 0.45), "low": 0.3 - distance,
              "bonded": 5 * (distance - 0.9) ** 2}  # fmt: skip
    rows = pd.concat([pd.DataFrame({"pair": name, "distance": distance, "energy": e}) for name, e in curves.items()])
    assert examination.holes(rows) == ["well"]
    assert examination.wall(rows) == pytest.approx(10 - 2.4 - 9)


def test_stretched_bonds_are_judged_beside_the_reference():
    calculators = {"good": MorsePotential(r0=1.2, rcut1=8, rcut2=9), "rough": Rough()}
    rows = examination.stretches(PAIR, calculators)
    assert set(rows["bond"]) == {"C-O"}
    good = rows[rows["calculator"] == "good"]
    work = np.trapezoid(good["force"], good["length"])
    assert work == pytest.approx(good["energy"].iloc[0] - good["energy"].iloc[-1], rel=0.02)
    assert good["energy"].min() == 0
    judged = examination.judge_stretches(rows, "good").set_index("calculator")
    assert judged.loc["good", ["extrema", "flips", "off"]].tolist() == [1, 1, 0]
    assert judged.loc["good", "minimum"] == pytest.approx(1.2, abs=0.02)
    assert judged.loc["good", "holds"] == pytest.approx(rows["length"].max() / judged.loc["good", "minimum"])
    assert judged.loc["rough", "holds"] < 1.3
    assert judged.loc["rough", "extrema"] > 3
    assert judged.loc["rough", "flips"] > 3
    assert judged.loc["rough", "off"] > 0.1


def test_bonds_are_those_outside_rings():
    benzene = molecule("C6H6")
    assert set(examination.bonds_to_stretch(benzene)) == {"C-H"}
    first, second = examination.bonds_to_stretch(molecule("CH3OH"))["C-O"]
    assert molecule("CH3OH").get_chemical_symbols()[first] == "C"
    assert molecule("CH3OH").get_chemical_symbols()[second] == "O"


def test_trajectories_are_judged():
    replicas = examination.replicas_of(0.2, 0.1)
    assert [r.name for r in replicas] == [examination.CONSTANT, "300 K", "600 K"]
    assert [r.name for r in examination.replicas_of(5.0, 0.0)] == [examination.CONSTANT]
    strong = MorsePotential(epsilon=10.0, r0=1.2, rcut1=50, rcut2=60)
    rows = examination.trajectories(PAIR, lambda: strong, replicas, step=0.5)
    judged = examination.judge_trajectories(rows, len(PAIR)).set_index("replica")
    assert judged.loc[examination.CONSTANT, "picoseconds"] == pytest.approx(0.2)
    assert judged.loc[examination.CONSTANT, "drifted"] < 0.1
    assert np.isnan(judged.loc["300 K", "drifted"])
    assert (judged["longest"] < 1.5).all()
    leaking = rows.assign(potential=rows["potential"] + EV * rows["time"])  # 1 eV/ps
    drift = examination.judge_trajectories(leaking, len(PAIR)).set_index("replica").loc[examination.CONSTANT]
    assert drift["drift"] == pytest.approx(500, rel=0.01)  # meV/atom/ps, of two atoms
    assert drift["drifted"] == pytest.approx(500 * 0.2 / drift["kinetic"], rel=0.02)


def test_what_a_potential_says_of_deformed_structures():
    atoms = molecule("CH3OH")
    bond = examination.bonds_to_stretch(atoms)["C-O"]
    images = examination.deformed(atoms, bond, [1.0, 1.5])
    assert list(images) == [("the bond", 1.0), ("the bond", 1.5), ("the molecule", 1.0), ("the molecule", 1.5)]
    assert images["the bond", 1.5].get_distance(*bond) == pytest.approx(1.5 * atoms.get_distance(*bond))
    grown = images["the molecule", 1.5].get_all_distances()
    np.testing.assert_allclose(grown, 1.5 * atoms.get_all_distances(), atol=1e-12)


def test_a_trained_potential_in_the_heat_is_evaluated_together(tmp_path):
    calculator = PotentialCalculator(potential("schnet", torch.float32, tmp_path))
    rows = examination.trajectories(molecule("H2O"), lambda: calculator, examination.replicas_of(0.002, 0.002))
    assert set(rows["replica"]) == {examination.CONSTANT, "300 K", "600 K"}
