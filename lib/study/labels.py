"""Trials of cheap labels: energies and forces of GFN2-xTB instead of none, before few labels of DFT.

The labels that count are those of the published ANI-1x (ωB97X/6-31G(d)). What comes before them is nothing, denoising,
energies and forces of mini ANI-1x at the level of GFN2-xTB, or both, one after the other; beside them the noise can
have a weight in the loss (`lib.training.auxiliary`). A network that has learnt energies hands over its head as well.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from lib.models import MODELS
from lib.models.transfer import ALL, LAYERS
from lib.runs.config import Limits, RunConfig
from lib.study.cells import Cell
from lib.study.published import LABELS, RATES
from lib.study.scale import FORCE_WEIGHT, Scale
from lib.study.scales import LAPTOP
from lib.study.trials import Trial

DATA = "ani1x"  # in both suites; mini ANI-1 has no forces
MODELS_COMPARED = ("egnn", "torchmd_net")
SHARES = {1.0: "800 labels", 0.25: "200 labels"}  # of the published ones, for as many steps
QUESTION = "What should come before few labels of DFT: nothing, denoising, cheap labels, or both?"
SCRATCH, DENOISED = "scratch", "denoised"
CHEAP, CHEAP_LAYERS = "GFN2-xTB labels", "GFN2-xTB labels, layers alone"
BOTH = "denoised, then GFN2-xTB labels"
NOISY, DENOISED_NOISY = "noisy nodes", "denoised, then noisy nodes"
DENS = "GFN2-xTB labels, denoising told the forces"
PAIRS = ((DENOISED, CHEAP), (DENOISED, BOTH), (CHEAP, BOTH), (CHEAP, CHEAP_LAYERS), (CHEAP, DENS), (SCRATCH, NOISY),
         (DENOISED, DENOISED_NOISY))  # fmt: skip
# for about as many core-minutes as the pre-training by denoising takes
CHEAP_EPOCHS, CHEAP_LIMITS = 5, Limits(validation=500, test=500)
# from scratch and from denoised layers: what validation chose at the scale all_labels for as many energies, both models
CHEAP_RATES = {False: 3e-3, True: 1e-3}
NOISE, NOISE_WEIGHT = 0.02, 0.1  # Å, so that energies stay about what they are; of the loss
TOLD_NOISE = 0.1  # Å, where the forces say which conformation is meant


def cheap_labels(scale: Scale, model: str, seed: int, denoised: bool) -> RunConfig:
    """The run that learns energies and forces of the mini suite's ANI-1x, from scratch or from denoised layers."""
    limit = scale.pretraining.limits.train
    limits = CHEAP_LIMITS if limit is None else replace(CHEAP_LIMITS, train=limit, validation=limit, test=limit)
    config = scale.finetune(Cell(model, DATA, denoised, force_weight=FORCE_WEIGHT), CHEAP_RATES[denoised], seed)
    training = replace(config.training, epochs=CHEAP_EPOCHS, warmup=0.3, plateau=0.7, validate_every=1)
    return replace(config, training=training, limits=limits)


def dens(scale: Scale, model: str, seed: int) -> RunConfig:
    """`cheap_labels` from scratch with denoising, told the forces, as a second term of the loss (DeNS)."""
    config = cheap_labels(scale, model, seed, denoised=False)
    settings, training = (
        replace(config.settings, told_forces=True),
        replace(config.training, noise_weight=NOISE_WEIGHT),
    )
    return replace(config, settings=settings, training=training, sigma=TOLD_NOISE)


def _run(
    scale: Scale, before: Scale, model: str, data: str, share: float, source: str, transfer: str, noise: float | None,
    rate: float, seed: int,
) -> RunConfig:  # fmt: skip
    """One run of ``scale``, from a run of the scale ``before``."""
    sources: Mapping[str, Callable[[], RunConfig | None]] = {
        SCRATCH: lambda: None,
        DENOISED: lambda: before.pretrain(model, seed),
        CHEAP: lambda: cheap_labels(before, model, seed, denoised=False),
        BOTH: lambda: cheap_labels(before, model, seed, denoised=True),
        DENS: lambda: dens(before, model, seed),
    }
    config = replace(scale.finetune(Cell(model, data, False, share=share), rate, seed), pretrained=sources[source](),
                     transfer=transfer)  # fmt: skip
    if noise is None:
        return config
    return replace(config, sigma=noise, training=replace(config.training, noise_weight=NOISE_WEIGHT))


def labels_trial(
    model: str,
    share: float = 1.0,
    scale: Scale = LABELS[DATA].scale,
    before: Scale = LAPTOP,
    data: str = DATA,
    rates: Sequence[float] = RATES,
    seeds: Sequence[int] = LAPTOP.seeds,
    words: str | None = None,
) -> Trial:
    """``model`` on a ``share`` of the labels of ``data`` at ``scale``, after a run of the scale ``before`` or none.

    ``words`` say in the name how many these are; None takes those of `SHARES`.
    """
    made = partial(partial, _run, scale, before, model, data, share)
    arms = {
        SCRATCH: made(SCRATCH, LAYERS, None),
        DENOISED: made(DENOISED, LAYERS, None),
        CHEAP: made(CHEAP, ALL, None),
        CHEAP_LAYERS: made(CHEAP, LAYERS, None),
        BOTH: made(BOTH, ALL, None),
        DENS: made(DENS, ALL, None),
        NOISY: made(SCRATCH, LAYERS, NOISE),
        DENOISED_NOISY: made(DENOISED, LAYERS, NOISE),
    }
    name = f"labels, {MODELS[model].label}, {scale.data_label(data)}, {words or SHARES[share]}"
    return Trial(name, QUESTION, arms, tuple(rates), tuple(seeds), SCRATCH)


def labels_trials() -> list[Trial]:
    """The trials, the most telling one first."""
    return [labels_trial(model, share) for model in MODELS_COMPARED for share in SHARES]
