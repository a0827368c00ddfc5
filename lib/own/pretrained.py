"""Trained models by name: the layers and potentials that come with this project, those trained here, and files.

``load_pretrained("torchmd_net-laptop").model`` is a torch module, the pre-trained layers with their settings;
``load_pretrained("torchmd_net-laptop-dynamics-iso17").calculator()`` is a potential for ASE, and so is
``load_pretrained("my-potential.safetensors").calculator()``, of a file that fine-tuning wrote.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lib.models.weights import SUFFIX, Weights, load_weights
from lib.potentials.calculator import PotentialCalculator
from lib.potentials.ensemble import Potential
from lib.runs.results import WEIGHTS
from lib.runs.runner import stored_with_weights
from lib.study.layers import weights_names

SEED = re.compile(rf"(?P<name>.+)-seed(?P<seed>\d+){re.escape(SUFFIX)}")  # the files that come with this project


@dataclass(frozen=True)
class Pretrained:
    """A trained model with one set of weights per seed; of energies several are an ensemble.

    Attributes:
        name: what it was asked for by.
        weights: of each seed, ascending; parameters and header.
    """

    name: str
    weights: tuple[Weights, ...] = field(repr=False)

    @cached_property
    def model(self) -> nn.Module:
        """The model with the first seed's weights, ready for inference; its ``settings`` come with it."""
        return self.weights[0].build().eval()

    @property
    def settings(self) -> Any:
        """The settings of the model (its dataclass, `models.MODELS`)."""
        return self.model.settings

    @property
    def gives_energies(self) -> bool:
        """Whether it is a potential; else it is pre-trained layers, which predict noise."""
        return self.weights[0].about.get("task") == "energy"

    def calculator(
        self, device: str = "auto", dtype: torch.dtype = torch.float32, **settings: Any
    ) -> PotentialCalculator:
        """Energies (eV) and forces (eV/Å) for ASE, of several seeds with their standard deviations.

        Args:
            device: auto, cpu or cuda.
            dtype: of the computation.
            settings: of `PotentialCalculator`, ``warn_at`` and ``stop_at`` among them.

        Raises:
            ValueError: these are pre-trained layers, which know no energies.
        """
        if not self.gives_energies:
            potentials = sorted(name for name in shipped() if load_pretrained(name).gives_energies)
            raise ValueError(
                f"{self.name!r} are pre-trained layers, which predict noise and no energies: fine-tune "
                f"them (python -m lib finetune), or choose a potential from {potentials}"
            )
        return PotentialCalculator(Potential(self.weights, device, dtype), **settings)


def shipped() -> dict[str, list[Path]]:
    """The weights files that come with this project, one per seed, by name."""
    files: dict[str, list[Path]] = {}
    for path in sorted(WEIGHTS.glob(f"*{SUFFIX}")):
        if match := SEED.fullmatch(path.name):
            files.setdefault(match["name"], []).append(path)
    return files


def load_pretrained(name: str | Path | Sequence[Path | str], seeds: Sequence[int] | None = None) -> Pretrained:
    """The trained model called ``name``.

    Args:
        name: one of `shipped`; MODEL-SCALE or MODEL-SCALE-dynamics, of layers that were pre-trained on this machine; or
            a weights file, or several of one model, as fine-tuning writes them.
        seeds: which; None takes all that are there. Not for files.

    Raises:
        ValueError: unknown name, or a seed that is neither shipped nor trained here; the message lists what there is.
        DataError: a file is missing or broken.
    """
    if not isinstance(name, str) or name.endswith(SUFFIX):
        paths = [Path(each) for each in ([name] if isinstance(name, (str, Path)) else name)]
        if seeds is not None or not paths:
            raise ValueError(f"seeds = {seeds!r}, {len(paths)} files: name at least one file, and no seeds beside it")
        return Pretrained(", ".join(path.name for path in paths), tuple(load_weights(path) for path in paths))
    files = {int(match["seed"]): path for path in shipped().get(name, []) if (match := SEED.fullmatch(path.name))}
    weights = {seed: load_weights(path) for seed, path in files.items() if seeds is None or seed in seeds}
    weights |= {seed: each for seed, each in _trained_here(name, seeds).items() if seed not in weights}
    missing = sorted(set(seeds or ()) - set(weights))
    if missing or not weights:
        raise ValueError(_unknown(name, missing, list(files)))
    return Pretrained(name, tuple(weights[seed] for seed in sorted(weights)))


def _trained_here(name: str, seeds: Sequence[int] | None) -> dict[int, Weights]:
    """Layers called ``name`` that were pre-trained on this machine, by seed; nothing where there are none."""
    if name not in weights_names():
        return {}
    scale, model = weights_names()[name]
    asked = scale.seeds if seeds is None else seeds
    if seeds is None and shipped().get(name):
        return {}
    results = {seed: stored_with_weights(scale.pretrain(model, seed)) for seed in asked}
    return {seed: result.weights() for seed, result in results.items() if result is not None}


def _unknown(name: str, missing: Sequence[int], known: Sequence[int]) -> str:
    """What is to be said where ``name``, or the seeds ``missing`` of it, cannot be loaded."""
    if name in weights_names() or known:
        what = f"seed {missing[0]} of {name!r}" if missing else f"{name!r}"
        remedy = f"choose from seeds {sorted(known)}" if known else f"choose from {sorted(shipped())}"
        if name in weights_names():
            remedy += f", or train it: python -m lib pretrain --weights {name} --seed {missing[0] if missing else 0}"
        return f"{what} is neither shipped nor trained here: {remedy}"
    return f"no trained model {name!r}: choose from {sorted(shipped())}, or name a {SUFFIX} file"
