"""Jobs: what a run of each task does, from its config to weights, history, predictions and metrics in a folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from lib import models
from lib.chemistry.reference_energies import isolated_energies
from lib.data.loading import ConformationBatches, Selection, make_loader
from lib.data.splits import subsample
from lib.errors import TrainingError, required
from lib.models.base import Model
from lib.models.repulsion import closest, reach_of
from lib.models.rigidity import Rigidity
from lib.models.transfer import LAYERS, transfer
from lib.models.weights import Weights, load_weights, save_weights
from lib.noising import rigid_part
from lib.runs.config import RunConfig
from lib.runs.continuation import continue_from
from lib.runs.evaluation import predict, scores
from lib.runs.results import HISTORY, PREDICTIONS
from lib.runs.selection import Splits, select, splits
from lib.runs.uncertainty import rigidity_of
from lib.training.auxiliary import DeNSTask, NoisyNodesTask
from lib.training.denoising import DenoisingTask, diverged
from lib.training.energy import EnergyTask
from lib.training.execution import Execution, is_first_process
from lib.training.fit import fit
from lib.training.scaling import Scaling, independent, needs_compositions
from lib.training.settings import TrainingSettings
from lib.training.task import Task

EVALUATED = 6000  # atoms of a batch of validation and test, about: without gradients more fit, but not any number
MEASURED = 512  # conformations, for `InputNorm`
RIGID = 10000  # conformations, for `Rigidity`
Outcome = tuple[dict[str, float], dict[str, Any]]  # metrics, and further facts for `Result.about`
Parts = dict[str, ConformationBatches]  # train, validation, test …


def _initial_model(config: RunConfig, execution: Execution) -> Model:
    """The model with initial weights drawn from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = models.build(config.model, config.settings)
    if execution.compiled:
        models.compile_layers(config.model, model, noise=not config.labelled)
    if execution.graphs:
        models.use_graphs(model)
    return model


def _training_loader(config: RunConfig, data: ConformationBatches, execution: Execution) -> DataLoader:
    """Shuffled batches, each step's in as many micro-batches as ``execution`` says."""
    return make_loader(
        data,
        config.training.batch_size,
        config.seed,
        shuffle=True,
        micro_batches=execution.accumulate,
        workers=execution.workers,
        pinned=execution.device() == "cuda",
    )


def _evaluation_loader(config: RunConfig, data: ConformationBatches, alone: bool = False) -> DataLoader:
    """Batches of validation or test data: four times as large as in training, up to about `EVALUATED` atoms."""
    atoms = np.concatenate([s.n_atoms for s in data.selections]).mean()
    size = max(1, min(4 * config.training.batch_size, int(EVALUATED / atoms)))
    return make_loader(data, size, config.seed, shuffle=False, alone=alone)


def _facts(config: RunConfig, folder: Path, whole_splits: Splits, data: Parts, steps: int) -> dict[str, Any]:
    """Hashes of the splits, which are saved in ``folder``, conformations by part, and steps."""
    hashes = {}
    for (_, split), dataset in zip(whole_splits, config.data, strict=True):
        split.save(folder / f"split-{dataset.stem}.npz")
        hashes[dataset.name] = split.hash
    return {"splits": hashes, "conformations": {k: len(v) for k, v in data.items()}, "steps": steps}


def _save_history(folder: Path, history: dict[str, list[float]]) -> None:
    (folder / HISTORY).write_text(json.dumps(history), encoding="utf-8")


def denoise(
    config: RunConfig,
    folder: Path,
    execution: Execution,
    weights: Weights | None = None,
    make_task: Callable[[Model, TrainingSettings, float], Task] = DenoisingTask,
) -> Outcome:
    """Pre-train: metrics are the validation denoising error and the part of the noise that is rigid motion.

    Raises:
        TrainingError: training diverged. No result is stored, so nothing can be fine-tuned from it.
    """
    model, sigma = _initial_model(config, execution), required(config.sigma, "sigma")
    whole_splits = splits(config)
    selected = select(config, whole_splits)
    data = {k: ConformationBatches(v, config.settings.cutoff, sigma) for k, v in selected.items()}
    task = make_task(model, config.training, sigma)
    training = _training_loader(config, data["train"], execution)
    fitted = fit(task, training, _evaluation_loader(config, data["validation"]), folder, execution)
    if not is_first_process():
        return {}, {}
    by_epoch = task.history[task.monitor]
    if diverged(by_epoch):
        errors, rate = ", ".join(f"{error:.3g}" for error in by_epoch), config.training.learning_rate
        raise TrainingError(
            f"pre-training of {config.model}, seed {config.seed}, diverged, denoising errors by epoch "
            f"{errors}: lower learning_rate = {rate:g} (of your own conformations --pretraining-rate) "
            "or set clip"
        )
    _save_history(folder, task.history)
    save_weights(folder / "weights.safetensors", config.model, model, task=config.task, sigma=sigma, run=config.key())
    metrics = {
        "validation_denoising_error": fitted.best_metric,
        "validation_rigid_part": _rigid_fraction(_evaluation_loader(config, data["validation"], alone=True), sigma),
    }
    return metrics, _facts(config, folder, whole_splits, data, fitted.steps)


def _rigid_fraction(loader: DataLoader, sigma: float) -> float:
    """The fraction of the validation noise's variance that is rigid motion of molecules."""
    squared, coordinates = 0.0, 0
    for batch in loader:
        part = rigid_part(batch.pos.numpy(), required(batch.noise, "noise").numpy(), batch.molecule.numpy())
        squared, coordinates = squared + float((part**2).sum()), coordinates + part.size
    return squared / coordinates / sigma**2


def energy(config: RunConfig, folder: Path, execution: Execution, weights: Weights | None = None) -> Outcome:
    """Train the energy, from ``weights`` where given: metrics are RMSE, MAE, R² of each test part and the validation
    RMSE of the best epoch; where settings ask for forces, theirs too.

    R² is the fraction of the variance about the baseline (`scaling`) that the model explains; the baseline alone has 0.
    """
    model = _initial_model(config, execution)
    if weights is not None:
        transfer(model, config.model, weights, config.transfer, required(config.pretrained, "pretrained").task)
    whole_splits = splits(config)
    forces, cutoff = config.training.force_weight is not None, config.settings.cutoff
    data = {
        k: ConformationBatches(
            v, cutoff, forces=forces, single_precision=config.single_precision and not k.startswith("test")
        )
        for k, v in select(config, whole_splits).items()
    }
    compositions = data["train"].different_compositions()
    isolated = isolated_energies(config.isolated_atoms, compositions, whole_splits[0][0].level)
    baseline = required(config.baseline, "baseline")
    by_conformation = data["train"].compositions() if needs_compositions(baseline, isolated) else None
    scaling = Scaling.fit(baseline, data["train"].energies(), by_conformation, isolated)
    if config.start is not None:
        scaling = continue_from(config, model, data["train"], _evaluation_loader(config, data["train"]))
    reach = _reach(config, data["train"])
    task = _energy_task(config, model, scaling, _measured(config, data["train"], execution), reach)
    if config.transfer != LAYERS or config.start is not None:
        task.keep_head()
    training = _training_loader(config, data["train"].noised(config.sigma), execution)
    fitted = fit(task, training, _evaluation_loader(config, data["validation"]), folder, execution)
    task.finish()
    if not is_first_process():
        return {}, {}
    _save_history(folder, task.history)
    target = _target(config, scaling, whole_splits[0][0].level, compositions, reach)
    rigidity = _rigidity(config, task, data, execution.device())
    about = {"task": config.task, "target": target, "run": config.key()}
    save_weights(folder / "weights.safetensors", config.model, model, rigidity, **about)
    metrics = _validation_metrics(task) | _test(config, task, data, folder, execution.device())
    return metrics, _facts(config, folder, whole_splits, data, fitted.steps) | {"target": target}


def _energy_task(
    config: RunConfig, model: Model, scaling: Scaling, measured: DataLoader | None, reach: Tensor | None
) -> EnergyTask:
    """What learns energies, with the noise in its loss where that has a weight."""
    if config.training.noise_weight:
        kind = DeNSTask if config.settings.told_forces else NoisyNodesTask
        return kind(model, config.training, scaling, measured, reach, config.sigma)
    return EnergyTask(model, config.training, scaling, measured, reach)


def _reach(config: RunConfig, train: ConformationBatches) -> Tensor | None:
    """How near to each other atoms come in ``train`` (`repulsion.closest`), and in the training of what is continued;
    None where the settings have no repulsion.
    """
    if not config.settings.repulsion:
        return None
    reach = closest(_evaluation_loader(config, train, alone=True))
    before = None if config.start is None else reach_of(load_weights(Path(config.start.path)).about["target"])
    return reach if before is None else torch.minimum(reach, before)


def _target(
    config: RunConfig, scaling: Scaling, level: str, compositions: NDArray[np.int64], reach: Tensor | None
) -> dict[str, Any]:
    """The scaling, level of theory and atom types seen in training, as JSON values; the ``reach`` between these types,
    where nuclei repel; energies of isolated atoms, or else the ``compositions`` where these leave a type's energy open.
    """
    target = {
        "mean": scaling.mean,
        "std": scaling.std,
        "per_type": scaling.per_type.tolist(),
        "level": level,
        "types": np.flatnonzero(compositions.any(0)).tolist(),
    }
    types = torch.tensor(target["types"])
    target |= {} if reach is None else {"reach": reach[types.unsqueeze(1), types].tolist()}
    if config.isolated_atoms:  # which say what data of one composition do not
        return target | {"isolated_atoms": dict(config.isolated_atoms)}
    few = independent(compositions)
    if len(compositions) > 1 and len(few) == len(target["types"]):
        return target
    told = few if len(few) > 1 else compositions[:2]  # of multiples of one: a list of one says there was no other
    return target | {"compositions": told.tolist()}


def _sample(config: RunConfig, data: ConformationBatches, number: int) -> ConformationBatches:
    """At most ``number`` conformations of each selection, without noise and forces."""
    few = [Selection(s.store, subsample(s.index, min(number, len(s.index)), config.seed)) for s in data.selections]
    return ConformationBatches(few, config.settings.cutoff)


def _rigidity(config: RunConfig, task: EnergyTask, data: Parts, device: str) -> Rigidity | None:
    """What says how uncertain energies are, of a model that sums over atoms; from `RIGID` training conformations."""
    if not config.settings.atomwise:
        return None
    train = _evaluation_loader(config, _sample(config, data["train"], RIGID), alone=True)
    return rigidity_of(task, train, _evaluation_loader(config, data["validation"], alone=True), device)


def _validation_metrics(task: EnergyTask) -> dict[str, float]:
    """Monitor and RMSE of the best epoch, with forces theirs too."""
    best = int(np.argmin(np.nan_to_num(task.history[task.monitor], nan=np.inf)))
    of_forces = ["validation_force_rmse"] if task.settings.force_weight is not None else []
    names = sorted({task.monitor, "validation_rmse", *of_forces})
    return {name: task.history[name][best] for name in names}


def _test(config: RunConfig, task: EnergyTask, data: Parts, folder: Path, device: str) -> dict[str, float]:
    """Metrics of each test part; predictions go to ``folder``."""
    metrics: dict[str, float] = {}
    predictions = []
    for part, batches in data.items():
        if part.startswith("test"):
            rows = predict(task, _evaluation_loader(config, batches, alone=True), device)
            (selection,) = batches.selections
            rows["index"] = selection.index[rows["index"]]
            rows["molecule"] = selection.store.molecule_of(rows["index"])
            predictions.append(rows | {"part": np.full(len(rows["index"]), part)})
            metrics |= scores(part, rows)
    together: dict[str, Any] = {key: np.concatenate([p[key] for p in predictions]) for key in predictions[0]}
    np.savez_compressed(folder / PREDICTIONS, **together)
    return metrics


def _measured(config: RunConfig, train: ConformationBatches, execution: Execution) -> DataLoader | None:
    """Training conformations on which `InputNorm` measures, where the settings ask for normalisation.

    Raises:
        ValueError: a step's batch is to be divided, so that its parts would be normalised separately; or the head reads
            atoms, and graphs would have those that fill the batch among them.
    """
    if not config.training.normalise:
        return None
    if execution.graphs and config.settings.atomwise:
        raise ValueError(
            "graphs = True with normalise = True and atomwise = True: atoms that fill a batch would be normalised with "
            "the others; set one of them to False"
        )
    if execution.accumulate * execution.devices * execution.nodes > 1:
        raise ValueError(
            f"normalise = True needs undivided batches: accumulate = {execution.accumulate}, devices = "
            f"{execution.devices}, nodes = {execution.nodes} must be 1"
        )
    return _evaluation_loader(config, _sample(config, train, MEASURED))


Job = Callable[..., Outcome]
JOBS: dict[str, Job] = {"denoising": denoise, "energy": energy}  # by the names of `tasks.TASKS`


def job_of(task: str) -> Job:
    """The job of ``task``.

    Raises:
        ValueError: the task has a line in `TASKS` and none in `JOBS`.
    """
    if task not in JOBS:
        raise ValueError(f"task {task!r} is half registered: give it a job in lib.runs.jobs.JOBS")
    return JOBS[task]
