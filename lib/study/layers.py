"""Pre-trained layers by the names that users give them: MODEL-SCALE and MODEL-SCALE-dynamics."""

from lib.errors import look_up
from lib.models import MODELS
from lib.runs.config import RunConfig
from lib.runs.runner import stored_with_weights
from lib.study.scale import Scale
from lib.study.scales import SCALES

DYNAMICS = "-dynamics"  # ends the name of layers of `Scale.smooth`, from which potentials for dynamics start


def weights_names() -> dict[str, tuple[Scale, str]]:
    """Scale and model by the names that users give pre-trained layers, MODEL-SCALE and MODEL-SCALE-dynamics."""
    return {
        f"{model}-{name}{ending}": (variant, model)
        for name, scale in SCALES.items()
        for ending, variant in (("", scale), (DYNAMICS, scale.smooth()))
        for model in MODELS
    }


def named(weights: str) -> tuple[Scale, str]:
    """The scale and the model of the layers called ``weights``.

    Raises:
        ValueError: there are none; the message lists the names.
    """
    return look_up(weights_names(), weights, "pre-trained weights")


def pretraining_of(weights: str, seed: int = 0) -> RunConfig:
    """The pre-training whose layers are called ``weights``.

    Raises:
        ValueError: unknown name, or the layers are neither shipped nor trained on this machine.
    """
    scale, model = named(weights)
    config = scale.pretrain(model, seed)
    if stored_with_weights(config) is None:
        raise ValueError(
            f"the layers {weights!r} of seed {seed} are neither shipped nor trained here: train them with "
            f"python -m lib pretrain --weights {weights} --seed {seed}"
        )
    return config
