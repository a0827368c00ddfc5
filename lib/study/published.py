"""Table 2 on published data, at the paper's level of theory: three ways to start, on three sets of labels.

The data are the parts of ANI-1 and ANI-1x that `data.selections` names. A network starts from random weights, from
layers pre-trained on these published geometries (without those that are tested), or from layers pre-trained on the mini
suite's.
"""

from dataclasses import dataclass, replace

from lib.runs.config import RunConfig
from lib.study.cells import Cell
from lib.study.scale import Scale
from lib.study.scales import ALL_LABELS, LAPTOP, PUBLISHED

SCRATCH, OWN_GEOMETRIES, MINI_GEOMETRIES = STARTS = ("from scratch", "published geometries", "mini suite's geometries")
ALL_PUBLISHED_LABELS = replace(
    PUBLISHED,
    finetuning=replace(
        PUBLISHED.finetuning,
        training=PUBLISHED.finetuning.training.but(("ani1",), ALL_LABELS.finetuning.training.of("ani1")),
        limits=PUBLISHED.finetuning.limits.but(("ani1",), ALL_LABELS.finetuning.limits.of("ani1")),
    ),
)


@dataclass(frozen=True)
class Labels:
    """A data set and how many labels of it train.

    Attributes:
        data: ``ani1`` or ``ani1x``.
        scale: with its limits and its schedule.
        seeds: each has a split of its own. Of ANI-1x a split tests 100 conformations, so there are five.
        words: for tables.
    """

    data: str
    scale: Scale
    seeds: tuple[int, ...]
    words: str


LABELS: dict[str, Labels] = {
    "ani1x": Labels("ani1x", PUBLISHED, (0, 1, 2, 3, 4), "about 800 labels"),
    "ani1": Labels("ani1", PUBLISHED, (0, 1, 2), "1,000 labels"),
    "ani1_all": Labels("ani1", ALL_PUBLISHED_LABELS, (0, 1, 2), "all 49,400 labels"),
}


def published_run(labels: Labels, model: str, start: str, learning_rate: float, seed: int) -> RunConfig:
    """The run that trains energies of ``labels``.

    The mini suite was pre-trained on with its own seeds, of which there are fewer: they are taken in turns.

    Raises:
        ValueError: unknown model or ``start``.
    """
    if start not in STARTS:
        raise ValueError(f"start = {start!r}: choose from {STARTS}")
    config = labels.scale.finetune(Cell(model, labels.data, start == OWN_GEOMETRIES), learning_rate, seed)
    if start == MINI_GEOMETRIES:
        config = replace(config, pretrained=LAPTOP.pretrain(model, LAPTOP.seeds[seed % len(LAPTOP.seeds)]))
    return config
