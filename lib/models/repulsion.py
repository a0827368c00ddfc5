"""The repulsion of nuclei nearer to each other than in training, added to a trained model where its settings say so.

No training conformation has two atoms much closer than a bond, so a network's answer there is arbitrary, and dynamics
may fall into a hole. The screened repulsion of Ziegler, Biersack and Littmark (The Stopping and Range of Ions in
Solids, 1985, https://doi.org/10.1007/978-3-642-68779-2_5; coefficients as in https://docs.lammps.org/pair_zbl.html):

    E = Σ_{i<j} k Z_i Z_j / d_ij · φ(d_ij / a_ij) · f(d_ij / r_ij),   φ(x) = Σ_k c_k exp(-b_k x)
    a_ij = 0.8854 a_0 / (Z_i^0.23 + Z_j^0.23)

f fades it out (`radial.envelope`) at r_ij, the smallest distance of the two atom types in training. So it is zero in
every training conformation: the network learns the labels as they are, and the sum stays smooth. Reaching into bonds,
it would be what a network mostly learns to undo.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from ase.data import covalent_radii
from torch import Tensor

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES, NUMBERS
from lib.models.radial import envelope, half_pairs
from lib.units import BOHR, HARTREE

COULOMB = HARTREE * BOHR  # kcal/mol Å, of two elementary charges
SCREENING, POWER = 0.8854 * BOHR, 0.23  # Å
COEFFICIENTS = (0.18175, 0.50986, 0.28022, 0.02817)
DECAYS = (3.19980, 0.94229, 0.40290, 0.20162)
UNMET = 1.5  # times the sum of covalent radii: the reach between types that were no neighbours in training
CHARGES = torch.tensor(NUMBERS, dtype=torch.float64)
RADII = torch.tensor(covalent_radii[NUMBERS], dtype=torch.float64)  # Å


def pair_repulsion(first: Tensor, second: Tensor, distance: Tensor, reach: Tensor) -> Tensor:
    """Energies (P,) in kcal/mol of pairs.

    Args:
        first: (P,) atom types.
        second: (P,) the same of the other atom.
        distance: (P,) Å.
        reach: (28, 28) Å, r of two types.
    """
    charges, reach = CHARGES.to(distance), reach.to(distance)
    one, two = charges[first], charges[second]
    x = distance / SCREENING * (one**POWER + two**POWER)
    screened = sum(c * torch.exp(-b * x) for c, b in zip(COEFFICIENTS, DECAYS, strict=True))
    return COULOMB * one * two / distance * screened * envelope(distance, reach[first, second])


def repulsion(batch: Batch, reach: Tensor) -> tuple[Tensor, Tensor]:
    """Energies (n_molecules,) in kcal/mol and forces (n_atoms, 3) in kcal/mol/Å, float64, without a graph.

    Args:
        batch: with all neighbour pairs within ``reach``.
        reach: (28, 28) Å, of `closest` or `reach_of`.
    """
    with torch.enable_grad():
        pos = batch.pos.detach().double().requires_grad_()
        receiver, sender, _, distance = half_pairs(batch, pos)
        near = distance.detach() < reach.to(distance)[batch.z[receiver], batch.z[sender]]
        if not near.any():  # as in most steps of a simulation
            return pos.new_zeros(batch.n_molecules), torch.zeros_like(pos)
        receiver, sender, distance = receiver[near], sender[near], distance[near]
        pairs = pair_repulsion(batch.z[receiver], batch.z[sender], distance, reach)
        energy = pairs.new_zeros(batch.n_molecules).index_add(0, batch.molecule[receiver], pairs)
        (gradient,) = torch.autograd.grad(energy.sum(), pos, materialize_grads=True)
    return energy.detach(), -gradient


def closest(batches: Iterable[Batch]) -> Tensor:
    """The smallest distance (28, 28) Å of each two atom types in ``batches``; `UNMET` of those that never meet."""
    types = len(ATOM_TYPES)
    smallest = torch.full((types * types,), torch.inf, dtype=torch.float64)
    for batch in batches:
        receiver, sender, _, distance = half_pairs(batch, batch.pos.double())
        smallest.scatter_reduce_(0, batch.z[receiver] * types + batch.z[sender], distance, "amin")
    reach = torch.minimum(smallest.view(types, types), smallest.view(types, types).T)
    return reach.where(reach.isfinite(), _unmet())


def reach_of(target: Mapping[str, Any]) -> Tensor | None:
    """The reach (28, 28) Å that ``target`` of a weights file states for its ``types``; None where there is none."""
    if "reach" not in target:
        return None
    reach, types = _unmet(), torch.tensor(target["types"])
    reach[types.unsqueeze(1), types] = torch.tensor(target["reach"], dtype=torch.float64)
    return reach


def _unmet() -> Tensor:
    return UNMET * (RADII.unsqueeze(1) + RADII)
