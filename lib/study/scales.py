"""The scales, defined once: which data, how wide, how long, which seeds. One code path serves all.

``smoke`` proves the machinery and claims no science; ``laptop`` shows the science on the mini suite; ``wide`` is
``laptop`` with the paper's sizes of networks, for a GPU; ``paper`` is the paper's own settings on the published data.
``all_labels`` is ``laptop`` with as many labels of ANI-1 and ANI-1x as in the paper, 80 %, for the paper's 10 epochs;
`with_labels` makes of it those with fewer labels of ANI-1x. ``published`` is ``laptop`` on the parts of the published
ANI-1 and ANI-1x that `data.selections` names, at the paper's level of theory.
"""

from dataclasses import replace

from lib.errors import look_up
from lib.models import PAPER_MODELS
from lib.runs.config import Limits
from lib.study.scale import (
    PRE_TRAINING_DATA,
    ByData,
    Cost,
    Exceptions,
    FinetuningPlan,
    OwnPlan,
    PretrainingPlan,
    Scale,
)
from lib.training.settings import TrainingSettings

# at the paper's scale each system of MD22 is trained for about 10,000 steps of at most about 12,000 atoms; the paper's
# own settings are in a supplement that we do not have
MD22_TRAINING = {
    "md22/Ac-Ala3-NHMe": TrainingSettings(epochs=50, batch_size=256),
    "md22/DHA": TrainingSettings(epochs=50, batch_size=128),
    "md22/stachyose": TrainingSettings(epochs=50, batch_size=128),
    "md22/AT-AT": TrainingSettings(epochs=100, batch_size=128),
    "md22/AT-AT-CG-CG": TrainingSettings(epochs=100, batch_size=64),
    "md22/buckyball-catcher": TrainingSettings(epochs=150, batch_size=64),
    "md22/double-walled_nanotube": TrainingSettings(epochs=50, batch_size=32),
}
SMOKE = Scale(
    suite="mini",
    widths={
        "schnet": {"hidden_channels": 16, "num_filters": 16, "num_interactions": 3},
        "se3_transformer": {"n_layers": 1, "degrees": 2, "radial_channels": 16, "out_channels": 16},
        "egnn": {"hidden_channels": 16, "n_layers": 3},
        "torchmd_net": {"hidden_channels": 16, "num_layers": 2, "num_rbf": 16, "num_heads": 4},
    },
    seeds=(0, 1),
    pretraining=PretrainingPlan(TrainingSettings(epochs=3, batch_size=32, learning_rate=5e-3), limits=Limits(300, 60)),
    finetuning=FinetuningPlan(
        training=ByData(
            TrainingSettings(epochs=4, batch_size=20, normalise=True, validate_every=2),
            {
                "md22": TrainingSettings(epochs=2, batch_size=8, normalise=True),
                "own": TrainingSettings(epochs=8, batch_size=8, normalise=True, validate_every=4),
            },
        ),
        rates=ByData((3e-3,)),
        limits=ByData(
            Limits(100, 40, 60),
            {
                "md22": Limits(40, 10, 20),
                "md22/AT-AT-CG-CG": Limits(20, 4, 8),
                "md22/double-walled_nanotube": Limits(20, 4, 8),
                "md22/buckyball-catcher": Limits(40, 4, 8),  # 5 % of them are two
                "own": Limits(None, 20, 40),
            },
        ),
    ),
    exceptions=Exceptions(md22_seeds=dict.fromkeys(PAPER_MODELS, 1), force_models=("schnet",)),
    own=OwnPlan(n_train=(20, 100)),
    picoseconds=0.02,
    cost=Cost(
        {
            "schnet": {"denoising": 6e-4, "energy": 7e-4},
            "se3_transformer": {"denoising": 2.7e-3, "energy": 1.3e-3},
            "egnn": {"denoising": 5e-4, "energy": 1.1e-3},
            "torchmd_net": {"denoising": 8e-4, "energy": 1.1e-3},
        }
    ),
)
LAPTOP = Scale(
    suite="mini",
    widths={
        "schnet": {"hidden_channels": 64, "num_filters": 64, "num_interactions": 4},
        "se3_transformer": {"n_layers": 2, "degrees": 3},
        "egnn": {"hidden_channels": 64, "n_layers": 4},
        "torchmd_net": {"hidden_channels": 64, "num_layers": 4, "num_heads": 4},
        "tensornet": {"hidden_channels": 64},
        "visnet": {"hidden_channels": 64, "num_layers": 3, "num_heads": 4},
    },
    seeds=(0, 1, 2),
    pretraining=PretrainingPlan(
        TrainingSettings(epochs=4, batch_size=64, learning_rate=5e-3),
        rates={"schnet": 2e-3, "torchmd_net": 2e-3},  # at 5e-3 two of three and one of two seeds diverged
    ),
    finetuning=FinetuningPlan(
        training=ByData(
            TrainingSettings(epochs=32, batch_size=32, normalise=True, validate_every=4),
            {
                "md22": TrainingSettings(epochs=10, batch_size=16, normalise=True, validate_every=2),
                "own": TrainingSettings(epochs=40, batch_size=8, normalise=True, validate_every=10),
            },
        ),
        rates=ByData(
            (3e-4, 1e-3, 3e-3, 1e-2),
            {"md22": (3e-4, 1e-3, 3e-3), "spice": (3e-4, 1e-3, 3e-3), "own": (1e-3, 3e-3)},
        ),
        limits=ByData(
            Limits(train=1000, validation=500, test=1000),
            {"md22": Limits(), "own": Limits()},  # used whole
        ),
    ),
    exceptions=Exceptions(
        md22_seeds={"schnet": 1, "se3_transformer": 1, "torchmd_net": 1},
        control_models=("schnet", "egnn", "torchmd_net"),  # the SE(3)-Transformer would take too long
        longer_systems={"egnn": ("double-walled_nanotube",), "se3_transformer": ("AT-AT-CG-CG",)},
        smallest_shares={"md22/buckyball-catcher": 0.2},  # 5 % of them are 32
    ),
    own=OwnPlan(pretraining_steps=3000),  # as many as the scale's own pre-training
    cost=Cost(
        {
            "schnet": {"denoising": 1.7e-3, "energy": 7e-4},
            "se3_transformer": {"denoising": 1.7e-2, "energy": 5.6e-3},
            "egnn": {"denoising": 1.8e-3, "energy": 1.4e-3},
            "torchmd_net": {"denoising": 3e-3, "energy": 2.4e-3},
        }
    ),
)
WIDE = replace(
    LAPTOP,
    widths={},
    # three models learn with this rate; no other was tried
    pretraining=PretrainingPlan(replace(LAPTOP.pretraining.training, learning_rate=1e-3)),
    finetuning=replace(LAPTOP.finetuning, rates=replace(LAPTOP.finetuning.rates, default=(1e-4, 3e-4, 1e-3, 3e-3))),
    exceptions=replace(LAPTOP.exceptions, control_models=(), longer_systems={}),
    cost=Cost(),  # the time that a GPU needs for a conformation depends on how many runs share it
)
PAPER = Scale(
    suite="official",
    widths={},
    seeds=(0,),
    pretraining=PretrainingPlan(TrainingSettings(epochs=5, warmup=0.7, plateau=0.3)),
    finetuning=FinetuningPlan(
        training=ByData(
            TrainingSettings(epochs=50),
            dict.fromkeys(PRE_TRAINING_DATA, TrainingSettings(epochs=10))
            | MD22_TRAINING
            | {"own": TrainingSettings(epochs=100, batch_size=32)},
        ),
        rates=ByData((2e-4,)),
        baseline="mean",
        constant_steps=False,
    ),
)
ALL_LABELS = replace(
    LAPTOP,  # its pre-training, validation and test conformations
    finetuning=replace(
        LAPTOP.finetuning,
        training=LAPTOP.finetuning.training.but(
            PRE_TRAINING_DATA, TrainingSettings(epochs=10, batch_size=32, normalise=True)
        ),
        limits=LAPTOP.finetuning.limits.but(PRE_TRAINING_DATA, Limits(validation=500, test=1000)),
        rates=LAPTOP.finetuning.rates.but(PRE_TRAINING_DATA, (1e-3, 3e-3)),  # others were not tried
    ),
    exceptions=replace(LAPTOP.exceptions, control_models=(), longer_systems={}),
)
# 62,762 conformations, of which 61,762 are of 16 molecules of 2 to 8 atoms: pre-training takes 5,000 of those and all
# of ANI-1x that is not tested, so that neither drowns the other, for about as many steps as at `laptop` scale
PUBLISHED = replace(
    LAPTOP,
    suite="published",
    pretraining=replace(
        LAPTOP.pretraining,
        training=LAPTOP.pretraining.training.stretched(9),
        limits=Limits(train=5000, validation=500),
    ),
    finetuning=replace(
        LAPTOP.finetuning,
        training=LAPTOP.finetuning.training.but(
            ("ani1x",), TrainingSettings(epochs=40, batch_size=32, normalise=True, validate_every=4)
        ),  # 800 labels, all of the split: about as many steps as 1,000 take
        rates=LAPTOP.finetuning.rates.but(PRE_TRAINING_DATA, (1e-3, 3e-3)),
        limits=LAPTOP.finetuning.limits.but(("ani1x",), Limits()),
    ),
    exceptions=replace(LAPTOP.exceptions, control_models=(), longer_systems={}),
)
SCALES: dict[str, Scale] = {
    "smoke": SMOKE,
    "laptop": LAPTOP,
    "paper": PAPER,
    "wide": WIDE,
    "all_labels": ALL_LABELS,
    "published": PUBLISHED,
}

# by number of labels, epochs and epochs between validations: 4,080, 4,160 and 4,125 steps of 32, where all 13,061
# labels of mini ANI-1x make 4,090
SAME_STEPS = {250: (510, 51), 1000: (130, 13), 4000: (33, 3)}


def with_labels(labels: int, same_steps: bool) -> Scale:
    """``all_labels`` with ``labels`` training conformations of ANI-1x, for the gain by number of labels.

    Smaller sets of one seed are nested, and the 1,000 are those of ``laptop``.

    Args:
        labels: a key of `SAME_STEPS`.
        same_steps: about as many steps as all labels take, with warm-up and plateau in proportion; else as many epochs.

    Raises:
        ValueError: a number that is not in `SAME_STEPS`.
    """
    epochs, validate_every = look_up(SAME_STEPS, labels, "number of labels")
    plan = ALL_LABELS.finetuning
    training = plan.training.of("ani1x")
    if same_steps:
        training = training.lasting(epochs, validate_every)
    limits = plan.limits.but(("ani1x",), replace(plan.limits.of("ani1x"), train=labels))
    return replace(
        ALL_LABELS, finetuning=replace(plan, training=plan.training.but(("ani1x",), training), limits=limits)
    )


def get_scale(name: str) -> Scale:
    """The scale called ``name``.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    return look_up(SCALES, name, "scale")
