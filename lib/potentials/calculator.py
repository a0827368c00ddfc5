"""A trained potential as an ASE calculator: energies in eV, forces in eV/Å, with their spread where it is an ensemble.

https://wiki.fysik.dtu.dk/ase/ase/calculators/calculators.html. Atom types come from elements and `formal_charges`.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator, InputError, all_changes
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lib.batches import Batch
from lib.chemistry.atom_types import CLOSEST, atom_types
from lib.chemistry.formal_charges import formal_charges
from lib.potentials.ensemble import MakeBatch, Potential
from lib.potentials.neighbours import Neighbours
from lib.units import EV


class UnfamiliarError(CalculationFailed):
    """A structure is too far from those in training; the message says how far."""


class PotentialCalculator(Calculator):
    """Energy (eV), forces (eV/Å) and, of an ensemble, their standard deviations ``energy_std``, ``forces_std``."""

    implemented_properties = [  # noqa: RUF012 (the type that ASE gives it)
        "energy",
        "free_energy",
        "forces",
        "energy_std",
        "forces_std",
        "energy_members",
        "forces_members",
        "energy_uncertainty",
        "unfamiliarity",
    ]

    def __init__(
        self,
        potential: Potential,
        members: bool = False,
        warn_at: float | None = None,
        stop_at: float | None = None,
        **options: Any,
    ) -> None:
        """A calculator of ``potential``.

        Where its weights say how uncertain energies are (`models.rigidity`), ``results`` have ``energy_uncertainty``
        (eV), and ``unfamiliarity``, how many times what is typical of validation conformations that is, per atom.

        Args:
            potential: one or an ensemble.
            members: whether ``results`` also have ``energy_members`` (M,) and ``forces_members`` (M, N, 3), the answers
                of each.
            warn_at: unfamiliarity from which on there is a warning; None never warns.
            stop_at: unfamiliarity from which on there is an error; None never stops.
            options: those of ASE's Calculator.

        Raises:
            ValueError: a limit for weights that do not say how uncertain they are.
        """
        super().__init__(**options)
        if None in potential.rigidities and (warn_at, stop_at) != (None, None):
            raise ValueError(
                f"warn_at = {warn_at}, stop_at = {stop_at}: these weights do not say how uncertain energies are; "
                "fine-tune again, or leave both out"
            )
        self.potential, self.members, self.warn_at, self.stop_at = potential, members, warn_at, stop_at
        self._types: NDArray[np.int64] | None = None
        self._neighbours = Neighbours()

    @classmethod
    def from_weights(
        cls, paths: Path | str | Sequence[Path | str], device: str = "auto", dtype: torch.dtype = torch.float32
    ) -> "PotentialCalculator":
        """From one weights file (of a run, or exported), or from several: an ensemble.

        Raises:
            DataError: a file is missing, broken, or holds no energy model.
        """
        return cls(Potential.load(paths, device, dtype=dtype))

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What changed since the last calculation; formal charges count as initial ones."""
        changes = super().check_state(atoms, tol)
        if not changes and (self._types is None or not np.array_equal(self._types, types_of(atoms))):
            changes = ["initial_charges"]
        return changes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill ``results``; ASE calls this.

        Raises:
            InputError: atoms that the potential cannot take; the message says why.
        """
        super().calculate(atoms, properties, system_changes)
        self._types = types_of(self.atoms)
        (self.results,) = self._evaluate([self._types], [check(self.atoms)], self._neighbours)

    def evaluate(self, images: Sequence[Atoms]) -> list[dict[str, Any]]:
        """The results of many structures, evaluated in batches: faster than one after another.

        Raises:
            InputError: atoms that the potential cannot take.
        """
        return self._evaluate([types_of(check(atoms)) for atoms in images], images)

    def _evaluate(
        self, types: Sequence[NDArray[np.int64]], images: Sequence[Atoms], make_batch: MakeBatch = Batch.from_arrays
    ) -> list[dict[str, Any]]:
        """`evaluate` of images whose atom types are known, in batches of ``make_batch``."""
        try:
            evaluation = self.potential.evaluate(types, [atoms.positions for atoms in images], make_batch=make_batch)
        except ValueError as error:
            raise InputError(str(error)) from error
        (energy, forces), (energy_std, forces_std) = evaluation.mean(), evaluation.spread()
        uncertain = np.sqrt((evaluation.uncertainties**2).mean(0)) / EV
        unfamiliar = evaluation.unfamiliarity.mean(0)
        ends = np.cumsum([len(t) for t in types])[:-1]
        each_energy, each_force = evaluation.energies.T / EV, np.split(evaluation.forces / EV, ends, axis=1)
        out = []
        for k, (e, f, e_std, f_std) in enumerate(
            zip(energy / EV, np.split(forces / EV, ends), energy_std / EV, np.split(forces_std / EV, ends), strict=True)
        ):
            results = {"energy": float(e), "free_energy": float(e), "forces": f}
            if len(self.potential.members) > 1:
                results |= {"energy_std": float(e_std), "forces_std": f_std}
            if None not in self.potential.rigidities:
                results |= {"energy_uncertainty": float(uncertain[k]), "unfamiliarity": float(unfamiliar[k])}
                self._judge(k, float(unfamiliar[k]))
            if self.members:
                results |= {"energy_members": each_energy[k], "forces_members": each_force[k]}
            out.append(results)
        return out

    def _judge(self, number: int, unfamiliarity: float) -> None:
        """Warn or stop where structure ``number`` is too far from what was learnt."""
        for limit in (self.stop_at, self.warn_at):
            if limit is not None and unfamiliarity >= limit:
                text = (
                    f"structure {number}: the energy per atom is {unfamiliarity:.1f} times as uncertain as is typical "
                    f"of validation conformations, from {limit:g} on it is not to be trusted: train on such "
                    "structures too"
                )
                if limit == self.stop_at:
                    raise UnfamiliarError(text)
                warnings.warn(text, stacklevel=4)


def types_of(atoms: Atoms) -> NDArray[np.int64]:
    """Atom types (N,) from elements and formal charges.

    Raises:
        InputError: charges that are no whole numbers, or a pair of element and charge outside the vocabulary.
    """
    try:
        return atom_types(atoms.numbers, formal_charges(atoms))
    except ValueError as error:
        raise InputError(str(error)) from error


def check(atoms: Atoms) -> Atoms:
    """The same ``atoms``, where they are a molecule in vacuum.

    Raises:
        InputError: no atoms, a periodic cell, coordinates that are not finite, or atoms on top of one another.
    """
    if not len(atoms):
        raise InputError("no atoms: give a molecule")
    if atoms.pbc.any():
        raise InputError(
            f"pbc = {atoms.pbc.tolist()}: periodic cells are not supported, only molecules in vacuum; "
            "set atoms.pbc = False if it is one"
        )
    if not np.isfinite(atoms.positions).all():
        raise InputError(
            f"coordinates of atom {int(np.argwhere(~np.isfinite(atoms.positions))[0, 0])} are not finite: "
            "the simulation before has blown up, or the file is broken"
        )
    pairs = cKDTree(atoms.positions).query_pairs(CLOSEST, output_type="ndarray")
    if len(pairs):
        distance = np.linalg.norm(np.diff(atoms.positions[pairs], axis=1)[:, 0], axis=1)
        i, j = pairs[distance.argmin()].tolist()
        raise InputError(
            f"atoms {i} and {j} are {distance.min():.3f} Å apart: no potential knows such a geometry; "
            "look for an atom that occurs twice, or for another length unit"
        )
    return atoms
