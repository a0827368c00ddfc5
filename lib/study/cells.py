"""A cell is one arm of a comparison, a model on a data set, pre-trained or not; cells come in pairs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

SIGMA = 0.2  # Å (section 3.6)
Member = TypeVar("Member")


@dataclass(frozen=True)
class Cell:
    """One arm of a comparison.

    Attributes:
        model: a name of `models.MODELS`.
        data: a data set of the suite, ``ani1x`` or ``md22/DHA``.
        pretrained: whether it starts from pre-trained layers.
        longer: times the steps.
        share: of the training conformations.
        sigma: Å, of the pre-training.
        force_weight: of the loss; None is without forces (`TrainingSettings`).
    """

    model: str
    data: str
    pretrained: bool
    longer: int = 1
    share: float = 1.0
    sigma: float = SIGMA
    force_weight: float | None = None


@dataclass(frozen=True)
class Pair(Generic[Member]):
    """What is compared: two cells, or two arms, one trained from ``scratch`` and one from ``pretrained`` layers."""

    scratch: Member
    pretrained: Member

    def __iter__(self) -> Iterator[Member]:
        """From scratch, then pre-trained."""
        return iter((self.scratch, self.pretrained))


def members(pairs: Iterable[Pair[Member]]) -> list[Member]:
    """Both members of each pair, pair after pair."""
    return [member for pair in pairs for member in pair]
