"""Several trajectories of one molecule side by side, whose forces are evaluated together.

A molecule of twenty atoms takes a network hardly less time than five of them, so replicas at several temperatures cost
little more than one. Each has a heat bath of its own, or none. The integrator is BAOAB (Leimkuhler, Matthews 2013,
https://doi.org/10.1093/amrx/abs010): half a kick, half a drift, the bath, half a drift, half a kick,

    v += h/2 F/m,   x += h/2 v,   v <- c v + sqrt((1 - c²) kT/m) ξ,   x += h/2 v,   v += h/2 F/m,   c = exp(-γ h)

Without friction γ that is velocity Verlet, at constant energy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.velocitydistribution import Stationary, ZeroRotation, thermalize_momenta
from numpy.typing import NDArray

from lib.chemistry.bonds import bonds_of
from lib.potentials.calculator import PotentialCalculator, types_of
from lib.potentials.neighbours import Neighbours
from lib.units import ACCELERATION, BOLTZMANN, EV

BROKEN = 2.0  # times the length at the start: a bond that long is broken
COLUMNS = ("replica", "time", "potential", "kinetic", "kelvin", "longest")
Forces = Callable[[NDArray[np.float64], NDArray[np.int64]], tuple[NDArray[np.float64], NDArray[np.float64]]]


@dataclass(frozen=True)
class Replica:
    """One trajectory: its ``name``, the ``temperature`` (K) that velocities are drawn at and that the bath has, the
    bath's ``friction`` (per fs; 0 is no bath), and how many ``picoseconds`` it lasts.
    """

    name: str
    temperature: float
    friction: float = 0.0
    picoseconds: float = 10.0


def run_side_by_side(
    atoms: Atoms, forces: Forces, replicas: Sequence[Replica], step: float, rng: np.random.Generator, rows: int = 100,
    transfers: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """All ``replicas`` of ``atoms``, each until its time is over or a bond is broken.

    Args:
        atoms: where they start.
        forces: of positions (R, N, 3) Å, and which replicas (R,) they are of, the energies (R,) in kcal/mol and the
            forces (R, N, 3) in kcal/mol/Å (`forces_of`).
        replicas: the trajectories.
        step: fs.
        rng: draws velocities, and the kicks of the baths.
        rows: how many are kept of each, beside the first.
        transfers: whether a hydrogen atom may go from one heavy atom to another, as in acetylacetone: its bond is then
            that to the nearest heavy atom, whichever it is.

    Returns:
        Rows with ``replica`` (its name), ``time`` (ps), ``potential`` and ``kinetic`` (kcal/mol), ``kelvin``, and
        ``longest``, the largest length of a bond over that at the start, since the last row; from `BROKEN` on in the
        last row where a bond broke.
    """
    swarm = _Swarm(atoms, forces, replicas, step, rng, transfers)
    steps = np.array([round(1000 * replica.picoseconds / step) for replica in replicas])
    every = np.maximum(1, steps // rows)
    out, running = [swarm.row(k, 0) for k in range(len(replicas))], np.arange(len(replicas))
    for count in range(1, int(steps.max()) + 1):
        swarm.advance(running)
        broken = swarm.longest >= BROKEN
        out += [swarm.row(int(k), count) for k in running if count % every[k] == 0 or broken[k]]
        running = running[~broken[running] & (count < steps[running])]
        if not len(running):
            break
    return pd.DataFrame(out, columns=list(COLUMNS))


def forces_of(calculators: Sequence[Calculator], atoms: Atoms) -> Forces:
    """What `run_side_by_side` takes, of one calculator, or of one a replica where each keeps a state of its own.

    Those of a trained potential are evaluated together (`PotentialCalculator.evaluate`).
    """
    first = calculators[0]
    if isinstance(first, PotentialCalculator):
        types, potential, neighbours = types_of(atoms), first.potential, Neighbours()

        def together(x: NDArray[np.float64], _: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            """By a batch."""
            energy, force = potential.evaluate([types] * len(x), list(x), make_batch=neighbours).mean()
            return energy, force.reshape(x.shape)

        return together
    images = [atoms.copy() for _ in calculators]
    for image, calculator in zip(images, calculators, strict=True):
        image.calc = calculator

    def one_by_one(x: NDArray[np.float64], r: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Each by its replica's calculator."""
        energies, forces = [], []
        for k, positions in zip(r, x, strict=True):
            images[k].positions = positions
            energies.append(images[k].get_potential_energy() * EV)
            forces.append(images[k].get_forces() * EV)
        return np.array(energies), np.array(forces)

    return one_by_one


class _Swarm:
    """The state of all replicas: positions (R, N, 3) Å, velocities (R, N, 3) Å/fs, energies and forces."""

    def __init__(
        self, atoms: Atoms, forces: Forces, replicas: Sequence[Replica], step: float, rng: np.random.Generator,
        transfers: bool,
    ) -> None:  # fmt: skip
        self.replicas, self.forces, self.step, self.rng = replicas, forces, step, rng
        self.masses = atoms.get_masses()[:, None]
        bonds, light = bonds_of(atoms.numbers, atoms.positions), atoms.numbers == 1
        free = transfers & (light[bonds].sum(1) == 1)
        self.bonds, with_hydrogen = bonds[~free], bonds[free]
        self.heavy, self.free = np.flatnonzero(~light), with_hydrogen[light[with_hydrogen]]  # free to change partner
        self.damping = np.exp(-step * np.array([replica.friction for replica in replicas]))[:, None, None]
        temperatures = np.array([replica.temperature for replica in replicas])[:, None, None]
        self.kick = np.sqrt((1 - self.damping**2) * BOLTZMANN * ACCELERATION * temperatures / self.masses)
        self.x = np.repeat(atoms.positions[None], len(replicas), 0)
        self.v = np.stack([_velocities(atoms, replica, rng) for replica in replicas])
        self.energy, self.force = forces(self.x, np.arange(len(replicas)))
        self.start = self._lengths(self.x)
        self.longest = np.ones(len(replicas))

    def advance(self, r: NDArray[np.int64]) -> None:
        """One step of the replicas ``r``; one whose coordinates are lost has broken bonds and no energy."""
        half = 0.5 * self.step
        self.v[r] += half * ACCELERATION * self.force[r] / self.masses
        self.x[r] += half * self.v[r]
        self.v[r] = self.damping[r] * self.v[r] + self.kick[r] * self.rng.normal(size=self.v[r].shape)
        self.x[r] += half * self.v[r]
        whole = np.isfinite(self.x[r]).all((1, 2))
        self.energy[r[~whole]], self.force[r[~whole]] = np.nan, np.nan
        if whole.any():
            self.energy[r[whole]], self.force[r[whole]] = self.forces(self.x[r[whole]], r[whole])
        self.v[r] += half * ACCELERATION * self.force[r] / self.masses
        self.longest[r] = np.maximum(self.longest[r], (self._lengths(self.x[r]) / self.start[r]).max(1, initial=0.0))

    def row(self, k: int, count: int) -> tuple[str, float, float, float, float, float]:
        """What is kept of replica ``k`` after ``count`` steps; how long bonds were is counted anew from here."""
        kinetic = 0.5 * float((self.masses * self.v[k] ** 2).sum()) / ACCELERATION
        kelvin = 2 * kinetic / (3 * len(self.masses) * BOLTZMANN)
        longest, self.longest[k] = self.longest[k], 1.0
        return self.replicas[k].name, count * self.step / 1000, float(self.energy[k]), kinetic, kelvin, longest

    def _lengths(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the bonds (R, bonds), Å, those of hydrogen atoms that may change partner last; infinite where coordinates
        are lost.
        """
        lengths = np.linalg.norm(x[:, self.bonds[:, 0]] - x[:, self.bonds[:, 1]], axis=2)
        if len(self.free):
            apart = np.linalg.norm(x[:, self.free, None] - x[:, None, self.heavy], axis=3)
            lengths = np.concatenate([lengths, apart.min(2)], axis=1)
        return np.where(np.isfinite(lengths), lengths, np.inf)


def _velocities(atoms: Atoms, replica: Replica, rng: np.random.Generator) -> NDArray[np.float64]:
    """(N, 3) Å/fs, drawn at the replica's temperature, without whole translations and rotations."""
    drawn = atoms.copy()
    thermalize_momenta(drawn, temperature_K=replica.temperature, rng=rng)
    Stationary(drawn)
    ZeroRotation(drawn)
    return drawn.get_velocities() * units.fs
