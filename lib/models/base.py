"""What all models have in common: settings, the read-out of the energy, and typed access to the layers of a network.

The paper reads the energy out of pooled features, MLP(Σ_i h_i) (section 2.4). That is no sum over atoms: the energy of
two molecules far apart is not the sum of theirs, and each feels the other however far it is. With ``atomwise`` the
energy is Σ_i MLP(h_i), of the same parameters, which is extensive and local.
"""

from abc import abstractmethod
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from lib.batches import Batch
from lib.models.prediction import Prediction
from lib.models.scatter import pool

READ_OUT = ("atomwise", "repulsion")  # settings of how energies are read out, on which no layer depends
BESIDE_LAYERS = (*READ_OUT, "told_forces", "max_neighbors")  # settings with which layers are pre-trained as without
HEAD, TOLD = "energy_head.", "told."  # begin the names of the head's parameters, and of those that take told forces in
Own = TypeVar("Own", bound="Settings")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that every model has; the defaults are the paper's.

    Attributes:
        cutoff: Å; atoms closer than this are neighbours.
        smooth_cutoff: messages vanish at the cutoff with their first and second derivatives (`radial.envelope`).
        atomwise: the energy is a sum over atoms, Σ MLP(h) instead of MLP(Σ h).
        repulsion: whether nuclei repel that are nearer to each other than in training (`repulsion`).
        told_forces: whether the network has parameters that take in forces (`Batch.told`), where it is told some; it is
            the same function where it is told none. Of models with ``takes_forces`` alone.
        max_neighbors: the largest number of an atom's neighbours, the others being left out (`batches.capped`), as in
            the released code, which has 32; None, which is right, takes all. Small molecules have no more than 32.
    """

    cutoff: float = 5.0
    smooth_cutoff: bool = False
    atomwise: bool = False
    repulsion: bool = False
    told_forces: bool = False
    max_neighbors: int | None = None

    def of_layers(self: Own) -> Own:
        """The same with the read-out of the paper: what message-passing layers, which are transferred, depend on."""
        defaults: dict[str, Any] = {f.name: f.default for f in fields(self) if f.name in BESIDE_LAYERS}
        return replace(self, **defaults)

    def untold(self: Own) -> Own:
        """The same without parameters for forces, which are no part of what is transferred."""
        return replace(self, told_forces=False)

    def read_out_of(self: Own, other: "Settings") -> Own:
        """The same with the read-out of ``other``."""
        return replace(self, **{name: value for name, value in asdict(other).items() if name in READ_OUT})


class Model(nn.Module):
    """A module with ``settings`` and an ``energy_head``, the network that reads the energy out of features.

    ``denoises_with_head`` says whether denoising trains the ``energy_head`` too: where the noise is the gradient of its
    scalar; ``takes_forces`` whether it can be told forces (`Settings.told_forces`).
    """

    settings: Settings
    energy_head: nn.Sequential
    denoises_with_head: ClassVar[bool] = False
    takes_forces: ClassVar[bool] = False

    @property
    def not_pretrained(self) -> tuple[str, ...]:
        """Prefixes of the parameters that denoising does not train and fine-tuning draws anew."""
        return (HEAD,)

    def read_out(self, h: Tensor, batch: Batch, pooling: str = "sum") -> Tensor:
        """Energies (n_molecules,) of atom features ``h`` (n_atoms, F), pooled before the head or after it.

        A molecule that only fills a padded batch is left out; a head that reads molecules never sees it.
        """
        real = batch.n_molecules - batch.filled
        if self.settings.atomwise:
            return pool(self.energy_head(h), batch, pooling).squeeze(1)[:real]
        return self.energy_head(pool(h, batch, pooling)[:real]).squeeze(1)

    @abstractmethod
    def forward(self, batch: Batch, energy: bool = True, noise: bool = True) -> Prediction:
        """Energy (n_molecules,) and noise (n_atoms, 3), each only where asked for."""


def linear_layer(network: nn.Sequential, position: int) -> nn.Linear:
    """The linear layer at ``position`` of ``network``.

    Raises:
        TypeError: another layer is there.
    """
    layer = network[position]
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"layer {position} is {type(layer).__name__}: give the position of a linear layer")
    return layer
