"""The examination of a potential before dynamics: laws, pairs of atoms, stretched bonds, trajectories; as tidy tables.

Each function measures one kind (`soundness`, `replicas`) beside a reference where there is one. Laws are asked for in
both precisions, everything else in the one that is used, float32.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import chemical_symbols
from numpy.typing import NDArray

from lib.chemistry.bonds import bonds_of
from lib.potentials import soundness
from lib.potentials.calculator import PotentialCalculator
from lib.potentials.dynamics import beyond, drift
from lib.potentials.ensemble import Potential
from lib.potentials.replicas import Replica, forces_of, run_side_by_side
from lib.units import EV

NEAR = 0.7  # Å: up to here every pair of atoms repels, whatever the elements (H-H has its minimum at 0.74)
LENGTHS = (0.75, 1.75, 51)  # of a stretched bond, times its length: from, to, how many
CONSTANT, FRICTION = "constant energy", 0.01  # per fs, of a bath


def laws(potential: Potential, atoms: Atoms, precision: str) -> pd.DataFrame:
    """What the energies and forces of ``potential`` are off by, where a law says what they must be.

    Returns:
        Columns ``law``, ``precision``, ``value``, ``unit``; of copies of the molecule the largest of two, three, four.
    """
    many, near = soundness.copies(potential, atoms), soundness.copies(potential, atoms, (2,), apart=50.0)
    values = {
        "energy of copies": (many["energy"].abs().max(), "meV"),
        "forces of copies": (many["force"].max(), "meV/angstrom"),
        "a molecule 50 Å away": (near["force"].max(), "meV/angstrom"),
        "an atom 50 Å away": (soundness.felt_far_away(potential, atoms), "meV/angstrom"),
        "moved by 1e5 Å": (soundness.felt_translation(potential, atoms), "meV/angstrom"),
        "turned": (soundness.felt_rotation(potential, atoms), "meV/angstrom"),
    }
    return pd.DataFrame(
        [{"law": law, "precision": precision, "value": value, "unit": unit} for law, (value, unit) in values.items()]
    )


def holes(curves: pd.DataFrame) -> list[str]:
    """The pairs of `soundness.pair_curves` whose energy rises somewhere below `NEAR`, so that atoms are drawn in."""
    near = curves[curves["distance"] <= NEAR + 1e-9]
    return [str(pair) for pair, e in near.groupby("pair", sort=False)["energy"] if (np.diff(e) > 0).any()]


def wall(curves: pd.DataFrame) -> float:
    """The lowest energy (eV) of any of the pairs of `soundness.pair_curves` at their shortest distance."""
    return float(curves.groupby("pair")["energy"].first().min())


def bonds_to_stretch(atoms: Atoms) -> dict[str, tuple[int, int]]:
    """The first bond of each two elements that is in no ring, by name, such as ``C-H``."""
    out: dict[str, tuple[int, int]] = {}
    for pair in bonds_of(atoms.numbers, atoms.positions).tolist():
        first, second = sorted(pair, key=lambda k: (chemical_symbols[atoms.numbers[k]], k))
        try:
            beyond(atoms, first, second)
        except ValueError:  # in a ring
            continue
        out.setdefault("-".join(chemical_symbols[atoms.numbers[k]] for k in (first, second)), (first, second))
    return out


def stretches(atoms: Atoms, calculators: Mapping[str, Calculator]) -> pd.DataFrame:
    """Energies and forces along each of `bonds_to_stretch`, by each of ``calculators``.

    Returns:
        Columns ``bond``, ``calculator``, ``length`` (Å), ``energy`` (eV above the lowest) and ``force`` (eV/Å).
    """
    rows = []
    for name, bond in bonds_to_stretch(atoms).items():
        moved = beyond(atoms, *bond)
        for length in np.linspace(*LENGTHS) * atoms.get_distance(*bond):
            image = atoms.copy()
            image.set_distance(*bond, length, fix=0, indices=moved)
            along = image.get_distance(*bond, vector=True) / length
            for calculator, computes in calculators.items():
                image.calc = computes
                pull = float(image.get_forces()[moved].sum(0) @ along)
                rows.append((name, calculator, length, image.get_potential_energy(), pull))
    table = pd.DataFrame(rows, columns=["bond", "calculator", "length", "energy", "force"])
    lowest = table.groupby(["bond", "calculator"])["energy"].transform("min")
    return table.assign(energy=table["energy"] - lowest)


def deformed(atoms: Atoms, bond: tuple[int, int], times: Sequence[float]) -> dict[tuple[str, float], Atoms]:
    """``atoms`` with a ``bond`` so many ``times`` as long, and with all coordinates so many times as far from the
    middle; by what was done, and the times.
    """
    moved, out = beyond(atoms, *bond), {}
    for factor in times:
        image = atoms.copy()
        image.set_distance(*bond, factor * atoms.get_distance(*bond), fix=0, indices=moved)
        out["the bond", factor] = image
    for factor in times:
        swollen = atoms.copy()
        middle = atoms.positions.mean(0)
        swollen.positions = middle + factor * (atoms.positions - middle)
        out["the molecule", factor] = swollen
    return out


def unfamiliar(
    calculator: PotentialCalculator, reference: Calculator, images: Mapping[tuple[str, float], Atoms]
) -> pd.DataFrame:
    """What a potential says of itself on ``images`` (`deformed`), and how wrong it is.

    Returns:
        Columns ``what``, ``times``, ``off`` (eV, the energy less that of ``reference``), ``energy_uncertainty`` (eV)
        and ``unfamiliarity``.
    """
    rows = pd.DataFrame(calculator.evaluate(list(images.values())))[["energy", "energy_uncertainty", "unfamiliarity"]]
    off = rows.pop("energy") - [reference.get_potential_energy(image) for image in images.values()]
    names = pd.DataFrame(list(images), columns=["what", "times"])
    return pd.concat([names, off.rename("off"), rows], axis=1)


def judge_stretches(rows: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Of each bond and calculator of `stretches`: extrema of the energy, flips of the force, length at the minimum (Å),
    ``holds`` (how many times that length the bond is pulled back to, at most as far as it was stretched), and the root
    mean square difference of the force from that of ``reference`` (eV/Å) within a fifth of its minimum.
    """
    out = []
    for bond, of_bond in rows.groupby("bond", sort=False):
        energies = of_bond.pivot(index="length", columns="calculator", values="energy").reset_index()
        forces = of_bond.pivot(index="length", columns="calculator", values="force").reset_index()
        minimum, length = energies[reference].idxmin(), energies["length"]
        near = (length / length[minimum] - 1).abs() <= 0.2
        for name in of_bond["calculator"].unique():
            off = (forces[name] - forces[reference])[near]
            out.append(
                {
                    "bond": bond,
                    "calculator": name,
                    "extrema": soundness.extrema(energies[["length", name]])[name],
                    "flips": soundness.flips(forces[["length", name]])[name],
                    "minimum": length[energies[name].idxmin()],
                    "holds": _holds(length.to_numpy(), energies[name].to_numpy(), int(minimum)),
                    "off": float(np.sqrt((off**2).mean())),
                }
            )
    return pd.DataFrame(out)


def _holds(length: NDArray[np.float64], energy: NDArray[np.float64], minimum: int) -> float:
    """Up to which length, over that at the place ``minimum``, the energy rises without a fall."""
    falls = np.flatnonzero(np.diff(energy[minimum:]) < 0)
    falls = falls[length[minimum:][falls] > 1.05 * length[minimum]]  # its own minimum may lie a little farther
    return float(length[minimum + (int(falls[0]) if len(falls) else len(energy) - 1 - minimum)] / length[minimum])


def replicas_of(constant: float, heated: float, temperatures: Sequence[float] = (300.0, 600.0)) -> list[Replica]:
    """One at constant energy for ``constant`` ps, from velocities of the first temperature (K), and one in a heat bath
    of each for ``heated`` ps; none of those whose time is 0.
    """
    baths = [Replica(f"{kelvin:g} K", kelvin, FRICTION, heated) for kelvin in temperatures]
    every = [Replica(CONSTANT, temperatures[0], 0.0, constant), *baths]
    return [replica for replica in every if replica.picoseconds]


def trajectories(
    atoms: Atoms, calculator: Callable[[], Calculator], replicas: Sequence[Replica], step: float = 1.0
) -> pd.DataFrame:
    """`replicas.run_side_by_side` of ``atoms`` in steps of ``step`` fs; velocities are drawn from seed 0.

    Args:
        atoms: where they start.
        calculator: makes one; those of a trained potential serve all ``replicas``.
        replicas: `replicas_of`.
        step: fs.
    """
    calculators = [calculator() for _ in replicas]
    return run_side_by_side(atoms, forces_of(calculators, atoms), replicas, step, np.random.default_rng(0))


def judge_trajectories(rows: pd.DataFrame, atoms: int) -> pd.DataFrame:
    """Of each replica: how long it lasted (ps), the largest length of a bond over that at the start, mean temperature
    (K), and of the one at constant energy the drift of the total energy (meV/atom/ps), the standard deviations about it
    and of the kinetic energy (meV/atom), and ``drifted``, the whole drift over the latter.
    """
    out = []
    for name, own in rows.groupby("replica", sort=False):
        facts = {
            "replica": name,
            "picoseconds": own["time"].iloc[-1],
            "longest": own["longest"].max(),
            "kelvin": own["kelvin"].iloc[len(own) // 5 :].mean(),
        }
        if name == CONSTANT and len(own) > 2:
            facts |= _conservation(own, atoms)
        out.append(facts)
    return pd.DataFrame(out)


def _conservation(rows: pd.DataFrame, atoms: int) -> dict[str, float]:
    """`dynamics.drift` of ``rows`` beside the fluctuation of the kinetic energy."""
    of_total = drift(rows.assign(total=rows["potential"] + rows["kinetic"]), atoms)
    kinetic = 1000 / EV * rows["kinetic"].to_numpy() / atoms
    swing = float(kinetic[1:].std())
    return of_total | {"kinetic": swing, "drifted": abs(of_total["drift"]) * rows["time"].iloc[-1] / swing}
