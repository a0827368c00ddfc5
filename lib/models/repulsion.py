"""The repulsion of nuclei at short range, which a trained model's energy is added to where its settings ask for it.

No training conformation has two atoms much closer than a bond, so a network's answer there is arbitrary, and dynamics
may fall into a hole. The screened repulsion of Ziegler, Biersack and Littmark (The Stopping and Range of Ions in Solids,
1985, https://doi.org/10.1007/978-3-642-68779-2_5; coefficients as in https://docs.lammps.org/pair_zbl.html), faded out
at r_ij, a multiple of the sum of the covalent radii (`radial.envelope`):

    E = Σ_{i<j} k Z_i Z_j / d_ij · φ(d_ij / a_ij) · f(d_ij / r_ij),   φ(x) = Σ_k c_k exp(-b_k x)
    a_ij = 0.8854 a_0 / (Z_i^0.23 + Z_j^0.23)

A model learns what is left of energies and forces when this is taken off, and it is added again in use.
"""

import torch
from ase.data import atomic_numbers, covalent_radii
from torch import Tensor

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models.base import Settings
from lib.models.radial import NEAREST, envelope
from lib.units import BOHR, HARTREE

COULOMB = HARTREE * BOHR  # kcal/mol Å, of two elementary charges
SCREENING, POWER = 0.8854 * BOHR, 0.23  # Å
COEFFICIENTS = (0.18175, 0.50986, 0.28022, 0.02817)
DECAYS = (3.19980, 0.94229, 0.40290, 0.20162)
CHARGES = [atomic_numbers[symbol] for symbol, _ in ATOM_TYPES]
RADII = [float(covalent_radii[charge]) for charge in CHARGES]  # Å


def pair_repulsion(first: Tensor, second: Tensor, distance: Tensor, settings: Settings) -> Tensor:
    """Energies (P,) in kcal/mol of pairs.

    Args:
        first: (P,) atom types.
        second: (P,) the same of the other atom.
        distance: (P,) Å.
        settings: of the model; ``repulsion`` times the sum of the covalent radii is the reach, within ``cutoff``.
    """
    charges, radii = (distance.new_tensor(values) for values in (CHARGES, RADII))
    one, two = charges[first], charges[second]
    x = distance / SCREENING * (one**POWER + two**POWER)
    screened = sum(c * torch.exp(-b * x) for c, b in zip(COEFFICIENTS, DECAYS, strict=True))
    reach = (settings.repulsion * (radii[first] + radii[second])).clamp(max=settings.cutoff)
    return COULOMB * one * two / distance * screened * envelope(distance, reach)


def repulsion(batch: Batch, settings: Settings) -> tuple[Tensor, Tensor]:
    """Energies (n_molecules,) in kcal/mol and forces (n_atoms, 3) in kcal/mol/Å, float64, without a graph.

    Args:
        batch: with all neighbour pairs within the ``cutoff`` of ``settings``.
        settings: of a model whose ``repulsion`` is not 0.
    """
    receiver, sender = batch.pairs[:, : batch.pairs.shape[1] // 2]
    with torch.enable_grad():
        pos = batch.pos.detach().double().requires_grad_()
        delta = pos.index_select(0, receiver) - pos.index_select(0, sender)
        distance = (delta * delta).sum(1).clamp(min=NEAREST**2).sqrt()
        pairs = pair_repulsion(batch.z[receiver], batch.z[sender], distance, settings)
        energy = pairs.new_zeros(batch.n_molecules).index_add(0, batch.molecule[receiver], pairs)
        (gradient,) = torch.autograd.grad(energy.sum(), pos, materialize_grads=True)
    return energy.detach(), -gradient
