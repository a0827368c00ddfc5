"""Potentials: trained energy models, one or an ensemble of seeds, that give total energies and forces of molecules.

An ensemble's answer is the mean of its members, its uncertainty their standard deviation (n - 1 in the denominator):
Lakshminarayanan et al. 2017, https://arxiv.org/abs/1612.01474, without the adversarial part.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES, type_name
from lib.chemistry.reference_energies import reference_energies
from lib.errors import DataError
from lib.machine import flush_denormals, keep_freed_memory, one_thread
from lib.models.base import Model
from lib.models.baseline import baseline_of_target
from lib.models.forces import energy_and_forces
from lib.models.repulsion import reach_of, repulsion
from lib.models.rigidity import last_features, of_molecules
from lib.models.weights import Weights, load_weights
from lib.training.scaling import determined

ENSEMBLE = "ensemble"  # of a header: runs of all members, and factors of their spreads
ATOMS_AT_ONCE = 4096  # of a batch, unless one molecule has more
MakeBatch = Callable[[Tensor, Tensor, Tensor, float], Batch]  # of atom types, positions, molecules and cutoff
FEW_ATOMS = 300  # up to which one thread evaluates: two on a busy 2-core machine took 3 s for 19 atoms, one 13 ms


@dataclass(frozen=True)
class Evaluation:
    """M members' answers for B molecules of A atoms together.

    Attributes:
        energies: (M, B) total energies, kcal/mol.
        forces: (M, A, 3) kcal/mol/Å, molecule after molecule.
        uncertainties: (M, B) kcal/mol, what each member's energies are uncertain by (`rigidity`); NaN where its file
            does not say.
        unfamiliarity: (M, B) the same per atom, over what is typical of the member's validation conformations.
        factors: by which `spread` multiplies standard deviations of energies and of forces, so that it is calibrated.
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    uncertainties: NDArray[np.float64] = field(default_factory=lambda: np.full((1, 1), np.nan))
    unfamiliarity: NDArray[np.float64] = field(default_factory=lambda: np.full((1, 1), np.nan))
    factors: tuple[float, float] = (1.0, 1.0)

    def mean(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energies (B,) and forces (A, 3)."""
        return self.energies.mean(0), self.forces.mean(0)

    def spread(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Standard deviations of energies (B,) and of force components (A, 3); NaN for a single member."""
        if len(self.energies) == 1:
            return np.full(self.energies.shape[1], np.nan), np.full(self.forces.shape[1:], np.nan)
        of_energy, of_force = self.factors
        return of_energy * self.energies.std(0, ddof=1), of_force * self.forces.std(0, ddof=1)


class Potential:
    """Trained energy models with the scaling of their target."""

    def __init__(self, weights: Sequence[Weights], device: str = "auto", dtype: torch.dtype = torch.float32) -> None:
        """``device`` is cpu, cuda or auto; ``dtype`` float64 is for tests, and slower.

        Raises:
            ValueError: no weights.
            DataError: weights that predict no energies, or of another level of theory than the first.
        """
        if not weights:
            raise ValueError("an ensemble of no weights: give at least one file")
        self.device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        self.dtype = dtype
        self.members: list[tuple[Model, dict]] = []
        self._reaches = [reach_of(each.about.get("target", {})) for each in weights]
        self.rigidities = [each.rigidity for each in weights]
        self.spread_factors = _spread_factors(weights)
        for each in weights:
            if each.about.get("task") != "energy":
                raise DataError(
                    each.path,
                    "task",
                    f"it holds {each.about.get('task')!r} weights, which give no energy",
                    "fine-tune first: python -m lib finetune",
                )
            target = each.about["target"]
            if self.members and target["level"] != self.level:
                raise DataError(
                    each.path,
                    "level",
                    f"{target['level']!r} beside {self.level!r}",
                    "an ensemble has one level of theory",
                )
            self.members.append((each.build().eval().requires_grad_(False).to(self.device, dtype), target))

    @staticmethod
    def load(paths: Path | str | Sequence[Path | str], device: str = "auto", **options: torch.dtype) -> "Potential":
        """From one or several weights files.

        Raises:
            DataError: a file is missing, broken, or holds no energy model.
        """
        paths = [paths] if isinstance(paths, (str, Path)) else paths
        return Potential([load_weights(Path(path)) for path in paths], device, **options)

    @property
    def level(self) -> str:
        """Level of theory of the energies."""
        return self.members[0][1]["level"]

    @cached_property
    def trained_types(self) -> list[int]:
        """Atom types that every member has met in training; all where its file does not say."""
        everything = range(len(ATOM_TYPES))
        return sorted(set.intersection(*(set(t.get("types", everything)) for _, t in self.members)))

    def evaluate(
        self,
        types: Sequence[NDArray[np.int64]],
        positions: Sequence[NDArray[np.floating]],
        only_differences: bool = False,
        make_batch: MakeBatch = Batch.from_arrays,
    ) -> Evaluation:
        """Energies and forces of molecules, in batches of `ATOMS_AT_ONCE` atoms.

        After more than `FEW_ATOMS` atoms on a CPU, this process keeps the memory that it frees until it ends: asking
        for it again at each call took more than half of the time of 2,000 atoms.

        Args:
            types: (N,) atom types of each molecule (`atom_types.atom_types`).
            positions: (N, 3) Å of each.
            only_differences: whether nothing but differences at one composition is asked for, so that any is taken.
            make_batch: called as `Batch.from_arrays`, with tensors.

        Raises:
            ValueError: no molecules, an atom type that was not in training, or another composition than the only one
                in training, which determines no energy per atom type.
        """
        if not types:
            raise ValueError("no molecules: give at least one")
        together = np.concatenate(types)
        unknown = sorted(set(together.tolist()).difference(self.trained_types))
        if unknown:
            strange, known = (", ".join(map(type_name, each)) for each in (unknown, self.trained_types))
            raise ValueError(
                f"atom types {strange} were not in training, their energies would be random: "
                f"this potential knows {known}"
            )
        if not only_differences:
            self._refuse_other_compositions(types)
        few = len(together) <= FEW_ATOMS
        if self.device.type == "cpu" and not few:
            keep_freed_memory()
        with one_thread() if few else nullcontext(), flush_denormals():
            parts = [self._evaluate(types[a:b], positions[a:b], make_batch) for a, b in _runs([len(t) for t in types])]
        energies, forces, *uncertain = (np.concatenate(column, axis=1) for column in zip(*parts, strict=True))
        return Evaluation(energies, forces, uncertain[0], uncertain[1], self.spread_factors)

    def _refuse_other_compositions(self, types: Sequence[NDArray[np.int64]]) -> None:
        """Stop where a member was trained on one composition of which a molecule's is no multiple, or on several of
        which no combination gives it.
        """
        asked = np.array([np.bincount(own, minlength=len(ATOM_TYPES)) for own in types])
        for model, target in self.members:
            taught = np.array(target.get("compositions", []))
            if len(taught) == 1:
                _refuse_all_but(taught[0], asked, _is_extensive(model, target))
            elif len(taught):
                _refuse_undetermined(taught, asked)

    def _evaluate(
        self,
        types: Sequence[NDArray[np.int64]],
        positions: Sequence[NDArray[np.floating]],
        make_batch: MakeBatch,
    ) -> tuple[NDArray[np.float64], ...]:
        """`evaluate` of one batch."""
        z, molecule = np.concatenate(types), np.repeat(np.arange(len(types)), [len(t) for t in types])
        starts = np.cumsum([0, *(len(t) for t in types[:-1])])
        centred = [x - x.mean(0) for x in (np.asarray(x, dtype=np.float64) for x in positions)]  # before any rounding
        pos = torch.as_tensor(np.concatenate(centred), dtype=self.dtype, device=self.device)
        free = np.add.reduceat(reference_energies(self.level, z), starts)
        atoms = torch.as_tensor(z, device=self.device), pos, torch.as_tensor(molecule, device=self.device)
        batches = {cutoff: make_batch(*atoms, cutoff) for cutoff in {m.settings.cutoff for m, _ in self.members}}
        rows = []
        for (model, target), rigidity, reach in zip(self.members, self.rigidities, self._reaches, strict=True):
            batch = batches[model.settings.cutoff]
            with last_features(model) as seen:
                answer = energy_and_forces(model, batch)
            energy, force = (each.double().cpu().numpy() * target["std"] for each in answer)
            if reach is not None:
                of_nuclei, push = (each.cpu().numpy() for each in repulsion(batch, reach))
                energy, force = energy + of_nuclei, force + push
            energy = energy + baseline_of_target(target, z, molecule, len(types)) + free
            energy = _with_isolated(energy, target, types)
            uncertain = np.full(len(types), np.nan)
            if rigidity is not None:
                features = of_molecules(seen[-1], batch, model.settings.atomwise)
                uncertain = rigidity.uncertainty(features).cpu().numpy()
            typical = np.nan if rigidity is None else rigidity.typical * np.array([len(t) for t in types])
            rows.append((energy, force, uncertain, uncertain / typical))
        return tuple(np.array(column) for column in zip(*rows, strict=True))


def _with_isolated(
    energy: NDArray[np.float64], target: Mapping[str, Any], types: Sequence[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """``energy`` (B,) with the given one of each molecule that is an isolated atom of a known element."""
    known = {ATOM_TYPES.index((element, 0)): value for element, value in target.get("isolated_atoms", {}).items()
             if (element, 0) in ATOM_TYPES}  # fmt: skip
    return np.array([known.get(int(t[0]), e) if len(t) == 1 else e for e, t in zip(energy, types, strict=True)])


def _is_extensive(model: Model, target: Mapping[str, Any]) -> bool:
    """Whether the energy of molecules far apart is the sum of theirs."""
    return model.settings.atomwise and not target["mean"]


def _spread_factors(weights: Sequence[Weights]) -> tuple[float, float]:
    """What the spreads of energies and of forces are multiplied by: what the files say of just these members, else 1.

    `own.finetuning` fits them to a file of validation conformations, and writes them to each member's header.
    """
    said = [each.about.get(ENSEMBLE) for each in weights]
    runs = sorted(str(each.about.get("run")) for each in weights)
    if not isinstance(said[0], dict) or any(each != said[0] for each in said) or said[0]["members"] != runs:
        return 1.0, 1.0
    return said[0]["energy"], said[0].get("force", 1.0)


def _refuse_all_but(only: NDArray[np.int64], asked: NDArray[np.int64], multiples: bool) -> None:
    """Stop where one of ``asked`` (n, 28) is not ``only`` (28,), nor, if ``multiples``, several times that."""
    for counts in asked:
        times = counts.sum() / only.sum()
        if (counts != times * only).any() or not (times == 1 or (multiples and times.is_integer())):
            raise ValueError(
                f"the molecule {_formula(counts)} is not {_formula(only)}, the only composition in training, which "
                "determines no energy of each element: those of other compositions would be arbitrary; train on several"
            )


def _refuse_undetermined(taught: NDArray[np.int64], asked: NDArray[np.int64]) -> None:
    """Stop where the energies of the compositions ``taught`` (m, 28) say nothing of one of ``asked`` (n, 28)."""
    odd = asked[~determined(taught, asked)]
    if len(odd):
        raise ValueError(
            f"the molecule {_formula(odd[0])} has a composition that no combination of those in training gives "
            f"({', '.join(_formula(each) for each in taught[:4])}{', ...' if len(taught) > 4 else ''}), so that its "
            "energy would be arbitrary; train on more compositions, or give energies of isolated atoms"
        )


def _formula(counts: NDArray[np.integer]) -> str:
    """Numbers (28,) of atoms of each type for a reader, as ``C7 H10 O2``."""
    return " ".join(f"{type_name(k)}{counts[k]}" for k in np.flatnonzero(counts).tolist())


def _runs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Of each batch of consecutive molecules of ``sizes``, the first molecule and the one past the last."""
    out, start, atoms = [], 0, 0
    for k, size in enumerate(sizes):
        if k > start and atoms + size > ATOMS_AT_ONCE:
            out.append((start, k))
            start, atoms = k, 0
        atoms += size
    return [*out, (start, len(sizes))]
