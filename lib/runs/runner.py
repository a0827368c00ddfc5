"""The runner: a frozen `RunConfig` in, a `Result` out, stored under the hash of its content.

A seed changes split, order, noise and initial weights alike. The hash covers every setting and the fingerprints of the
data, so an edited setting or another data file is another run. Results are written atomically, and loaded when they are
asked for again. Until a run is finished it is kept in a hidden folder, locked by the process that trains it: another
process that asks for the same run waits and loads the result; a run that was killed resumes after its last epoch.
"""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from functools import cache, partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import cast

import torch.distributed as dist
from filelock import FileLock
from tqdm.auto import tqdm

from lib.errors import TrainingError, required
from lib.files import PART, writing
from lib.machine import available_cores, flush_denormals, keep_freed_memory, one_thread
from lib.models.weights import Weights
from lib.paths import RUNS
from lib.runs.checksums import seal
from lib.runs.config import RunConfig
from lib.runs.provenance import commit, provenance
from lib.runs.results import RESULT, Result, find_record, load_result, of_its_settings
from lib.training.execution import LAST, LOG, SHOWN, Execution, bars_shown, is_first_process
from lib.training.metrics import metric_of

STEPS_OF_MINUTES = ".steps"  # ends the file of the run store that says how many steps a run of some minutes has


def stored(config: RunConfig) -> Result | None:
    """The result of ``config`` where it is recorded or stored.

    A record comes first: a run that was trained again here (for its weights, or to compare it with the record) differs
    from it in rounding at least, and must not change what is chosen and drawn from the records.
    """
    return find_record(config.key()) or trained(config.key())


def trained(key: str) -> Result | None:
    """The result ``key`` that was trained on this machine.

    Raises:
        DataError: it was changed since, or its settings do not make the key.
    """
    folder = RUNS / key
    return of_its_settings(load_result(folder)) if (folder / RESULT).exists() else None


def run(config: RunConfig, execution: Execution = SHOWN) -> Result:
    """Load the result of ``config``, or train it, and the pre-training that it starts from, and store it."""
    return stored(config) or run_here(config, execution)


def run_here(config: RunConfig, execution: Execution = SHOWN) -> Result:
    """Train ``config`` on this machine, or load what was trained here; records are ignored."""
    weights = None
    if config.pretrained is not None:
        weights = (stored_with_weights(config.pretrained) or run_here(config.pretrained, execution)).weights()
    key = config.key()
    RUNS.mkdir(parents=True, exist_ok=True)
    first = _is_first()
    with FileLock(RUNS / f".{key}.lock") if first else nullcontext():
        if not (RUNS / key / RESULT).exists():  # no other process has finished it meanwhile
            with writing(RUNS / key):
                _train(config, RUNS / f".{key}", execution, weights)
            if first:
                shutil.rmtree(RUNS / key, ignore_errors=True)
                os.replace(RUNS / f".{key}", RUNS / key)
                for checkpoint in (RUNS / key).glob("*.ckpt*"):
                    checkpoint.unlink()
    if dist.is_initialized():
        dist.barrier()  # the others wait for the first one's files
    return of_its_settings(load_result(RUNS / key))


def _is_first() -> bool:
    """As `is_first_process`, before the processes have found each other too."""
    return int(os.environ.get("RANK", "0")) == 0


def log_of(config: RunConfig) -> Path:
    """The text file in which ``config`` says how far it is while it trains (`training.progress.RunLog`)."""
    return RUNS / f".{config.key()}" / LOG


def _train(config: RunConfig, part: Path, execution: Execution, weights: Weights | None) -> None:
    """Do the job in the folder ``part``, where an interrupted one resumes; the result is written last."""
    from lib.runs.jobs import job_of  # these import Lightning, which takes as long as torch
    from lib.training.fit import resumable

    job = job_of(config.task)
    part.mkdir(exist_ok=True)
    resumed = resumable(part / LAST)
    if _is_first():  # which alone writes: another that comes later would remove what it has begun
        for unfinished in part.glob(f"{PART}*"):
            unfinished.unlink(missing_ok=True)
    commit()  # of the code that trains
    if execution.resolve() == "cpu":
        keep_freed_memory()
    started = time.perf_counter()
    with one_thread(), flush_denormals():
        metrics, about = job(config, part, execution, weights)
    if not is_first_process():
        return
    about |= {"config": config.describe(), "identity": config.describe(whole=False)}
    about |= {"units": {name: metric_of(name).unit for name in metrics}}
    about |= {"wall_seconds": round(time.perf_counter() - started, 1), "resumed": resumed}
    about["provenance"] = provenance(execution.device())
    (part / RESULT).write_text(json.dumps({"metrics": metrics, "about": about}, indent=1), encoding="utf-8")
    seal(part)


def run_all(
    configs: Sequence[RunConfig],
    workers: int | None = None,
    title: str = "runs",
    device: str = "auto",
    weights: bool = False,
) -> list[Result]:
    """The results of ``configs``, in their order, with a progress bar; pre-training comes first, each run once.

    Args:
        configs: any mix of tasks.
        workers: processes of one thread each (at these sizes faster than one process of many threads); all cores by
            default, 1 on a GPU.
        title: of the progress bar.
        device: ``Execution.accelerator``.
        weights: whether to train runs that are recorded without their weights.
    """
    on_gpu = Execution(accelerator=device).resolve() != "cpu"
    workers = workers or (1 if on_gpu else available_cores())
    missing = {c.key(): c for c in configs if not is_available(c, weights)}
    missing |= {source.key(): source for config in missing.values() for source in sources_to_train(config)}
    for depth in sorted({len(c.chain()) for c in missing.values()}):  # those of one depth can train side by side
        stage = [c for c in missing.values() if len(c.chain()) == depth]
        bar = partial(tqdm, total=len(stage), desc=title, disable=not bars_shown())
        _train_all(stage, workers, bar, device)
    results = [stored_with_weights(c) if weights else stored(c) for c in configs]
    return cast("list[Result]", results)  # none is missing: those that were have just been trained


def stored_with_weights(config: RunConfig) -> Result | None:
    """The result of ``config`` where its weights are shipped or were trained here."""
    record = find_record(config.key())
    return record if record is not None and record.has_weights() else trained(config.key())


def sources_to_train(config: RunConfig) -> list[RunConfig]:
    """The runs to train before ``config``, the earliest first: those it starts from whose weights are not there."""
    source = config.pretrained
    return [] if source is None or is_available(source, weights=True) else [*sources_to_train(source), source]


def is_available(config: RunConfig, weights: bool) -> bool:
    """Whether the result of ``config`` is stored or recorded; with ``weights``, whether its weights are too."""
    return (stored_with_weights(config) if weights else stored(config)) is not None


def _train_all(configs: Sequence[RunConfig], workers: int, bar: Callable[[Iterable], Iterable], device: str) -> None:
    """Run ``configs``, here or in ``workers`` processes, which are kept, since starting one takes seconds; where this
    process is asked to stop they are ended.

    Raises:
        TrainingError: one of them was killed.
    """
    if min(workers, len(configs)) == 1:
        for config in bar(configs):
            _run_quietly(config, device)
        return
    jobs = []
    try:
        jobs += [_pool(workers).submit(_run_quietly, config, device) for config in configs]
        for job in bar(as_completed(jobs)):
            job.result()
    except BrokenExecutor as error:
        _pool.cache_clear()  # the next call starts others
        raise TrainingError(
            "a process that trains was killed, perhaps for its memory: take fewer processes (--workers, SLURM's "
            "--mem); the same command goes on from the last checkpoint"
        ) from error
    except (KeyboardInterrupt, SystemExit):
        for process in _pool(workers)._processes.values():  # Python 3.14 has kill_workers
            process.kill()
        _pool.cache_clear()
        raise
    finally:
        for job in jobs:
            job.cancel()  # those that have not begun, where one has failed


@cache
def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("spawn"), _begin_work)


def _begin_work() -> None:
    """Leave it to the process that started this one to stop it, and end where that process has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    required(parent_process(), "parent process").join()
    os._exit(1)


def _run_quietly(config: RunConfig, device: str) -> Result:
    return run_here(config, Execution(progress=False, accelerator=device))
