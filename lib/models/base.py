"""Model: what all models have in common, and typed access to the layers of a network."""

from abc import abstractmethod
from dataclasses import Field
from typing import Any, ClassVar, Protocol

from torch import nn

from lib.batches import Batch
from lib.models.prediction import Prediction

HEAD = "energy_head."  # begins the names of the head's parameters


class Settings(Protocol):
    """The settings of a model: a dataclass with a ``cutoff`` in Å."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def cutoff(self) -> float:
        """Å; atoms closer than this are neighbours."""


class Model(nn.Module):
    """A module with ``settings`` and an ``energy_head``, the network that reads the energy out of pooled features.

    ``denoises_with_head`` says whether denoising trains the ``energy_head`` too: where the noise is the gradient of its
    scalar.
    """

    settings: Settings
    energy_head: nn.Sequential
    denoises_with_head: ClassVar[bool] = False

    @property
    def not_pretrained(self) -> tuple[str, ...]:
        """Prefixes of the parameters that denoising does not train and fine-tuning draws anew."""
        return (HEAD,)

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
