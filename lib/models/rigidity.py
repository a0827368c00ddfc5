"""How uncertain an energy is, from one model: the prediction rigidity of its last layer.

Bigi, Chong, Ceriotti, Grasselli 2024, https://doi.org/10.1088/2632-2153/ad805f. The energy is linear in what enters the
head's last layer; with φ these features of a molecule (of a sum over atoms their sum, and the number of atoms for the
bias) and Φ those of the training conformations, a row each,

    σ² = α² φᵀ (ΦᵀΦ + λ I)⁻¹ φ,   α² = mean over validation conformations of error² / (φᵀ (ΦᵀΦ + λ I)⁻¹ φ)

so that σ grows in directions in which training has said little, and is calibrated by one factor. It costs a product of
a matrix and a vector. λ is `RIDGE` of the mean eigenvalue.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.batches import Batch
from lib.models.base import Model, linear_layer
from lib.models.scatter import scatter

RIDGE = 1e-6
SMALLEST = 1e-12  # of a squared uncertainty, (kcal/mol)²


@dataclass(frozen=True)
class Rigidity:
    """What says how uncertain energies are.

    Attributes:
        covariance: (F+1, F+1) (kcal/mol)², α² (ΦᵀΦ + λ I)⁻¹, float64.
        typical: kcal/mol, the root mean square over validation conformations of σ over their number of atoms, so that
            copies of a molecule are as familiar as one.
    """

    covariance: Tensor
    typical: float

    def uncertainty(self, features: Tensor) -> Tensor:
        """σ (n,) in kcal/mol of molecules with ``features`` (n, F+1)."""
        return _quadratic(features, self.covariance.to(features.device)).sqrt()


def fit_rigidity(train: Tensor, validation: Tensor, errors: Tensor, atoms: Tensor) -> Rigidity | None:
    """From ``train`` (n, F+1) and ``validation`` (m, F+1) features, and the errors (m,) in kcal/mol and numbers of
    ``atoms`` (m,) of the latter.

    None where the features of a training that diverged overflow.
    """
    gram = train.T @ train
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    factor, failed = torch.linalg.cholesky_ex(gram + ridge)
    if failed or not torch.isfinite(factor).all():
        return None
    inverse = torch.cholesky_inverse(factor)
    squared = _quadratic(validation, inverse)
    covariance = inverse * (errors.square() / squared).mean()
    return Rigidity(covariance.cpu(), float((_quadratic(validation, covariance) / atoms.square()).mean().sqrt()))


def _quadratic(features: Tensor, matrix: Tensor) -> Tensor:
    """φᵀ matrix φ (n,) of each row, above 0."""
    return ((features @ matrix) * features).sum(1).clamp(min=SMALLEST)


@contextmanager
def last_features(model: Model) -> Iterator[list[Tensor]]:
    """A list that gets, with each evaluation of ``model``, what enters the last layer of its head."""
    seen: list[Tensor] = []
    last = linear_layer(model.energy_head, len(model.energy_head) - 1)
    hook = last.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    try:
        yield seen
    finally:
        hook.remove()


def of_molecules(features: Tensor, batch: Batch, atomwise: bool) -> Tensor:
    """φ (n_molecules, F+1), float64, from what `last_features` saw of ``batch``, with a column for the bias."""
    rows = torch.cat([features.double(), features.new_ones(len(features), 1).double()], 1)
    return scatter(rows, batch.molecule, batch.n_molecules) if atomwise else rows
