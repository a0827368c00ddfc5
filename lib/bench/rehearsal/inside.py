"""Stages that are no command of their own: ``python -m lib.bench.rehearsal.inside STAGE [ARGUMENTS]`` prints JSON.

Each imports what it needs, so that its memory is its own. Seconds are those of the processor.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.errors import look_up
from lib.paths import OFFICIAL

if TYPE_CHECKING:
    from lib.runs.config import RunConfig

CHECKSUMS = ".md5.json"  # of the generated files, in their folder
SECONDS = 20.0  # how long batches are drawn
Facts = dict[str, Any]


def _files(name: str) -> list[Path]:
    return sorted(path for path in (OFFICIAL / name).iterdir() if not path.name.startswith("."))


def _generate(name: str, share: str) -> Facts:
    from lib.bench.rehearsal.files import generate

    generate(name, OFFICIAL / name, float(share))
    checksums = {}
    for path in _files(name):
        with path.open("rb") as file:
            checksums[path.name] = hashlib.file_digest(file, "md5").hexdigest()
    (OFFICIAL / name / CHECKSUMS).write_text(json.dumps(checksums), encoding="utf-8")
    return {"bytes": sum(path.stat().st_size for path in _files(name))}


def _verify(name: str) -> Facts:
    """The files are held against their checksums, as `data verify` does with the published ones."""
    from lib.data.sources import SourceFile, verify

    checksums = json.loads((OFFICIAL / name / CHECKSUMS).read_text(encoding="utf-8"))
    files = [SourceFile("", path.name, checksums[path.name], path.stat().st_size) for path in _files(name)]
    verdicts = verify(files, OFFICIAL / name)
    return {"files": len(verdicts), "as published": sum(v == "as published" for v in verdicts.values())}


def _systems() -> Facts:
    """Each system of MD22 has a store of its own, from which its runs read."""
    from lib.data.datasets import FAMILIES, find, open_store

    names = [f"official/{name}/{s}" for name, family in FAMILIES.items() for s in family.systems]
    return {"stores": len([open_store(find(name)) for name in names])}


def _open() -> Facts:
    """Seconds to open each store, and to hold all its files against their checksums; what it holds."""
    from lib.bench.rehearsal.files import CONFORMATIONS
    from lib.data.datasets import find, open_store
    from lib.study.cost import relative_cost

    facts = {}
    for name in CONFORMATIONS:
        started = time.process_time()
        store = open_store(find(f"official/{name}"))
        opened = time.process_time()
        store.verify()
        facts[name] = {
            "molecules": len(store.names),
            "conformations": len(store),
            "atoms": float((store.n_atoms * store.n_conformations).sum() / len(store)),
            "as many of 18 atoms": float((store.n_conformations * relative_cost(store.n_atoms)).sum()),
            "opened (s)": opened - started,
            "verified (s)": time.process_time() - opened,
        }
    return facts


def _pretraining() -> "RunConfig":
    from lib.study.scales import get_scale

    scale = get_scale("paper")
    return scale.pretrain(scale.models[0], scale.seeds[0])


def _split() -> Facts:
    """The strict split of the pre-training: no test conformation of the fine-tuning."""
    import numpy as np

    from lib.runs.selection import select, splits
    from lib.study.cost import relative_cost

    config = _pretraining()
    started = time.process_time()
    selected = select(config, splits(config))
    taken = time.process_time() - started
    atoms = np.concatenate([s.n_atoms for s in selected["train"]])
    return (
        {"split (s)": taken}
        | {part: sum(len(s.index) for s in chosen) for part, chosen in selected.items()}
        | {"as many of 18 atoms": float(relative_cost(atoms).sum())}
    )


def _epoch() -> Facts:
    """How long the first batch of an epoch takes, and how many conformations a second the loader gives alone."""
    from lib.data.loading import ConformationBatches, make_loader
    from lib.runs.selection import select, splits

    config = _pretraining()
    data = ConformationBatches(select(config, splits(config))["train"], config.settings.cutoff, config.sigma)
    loader = make_loader(data, config.training.batch_size, config.seed, shuffle=True)
    started = time.process_time()
    batches = iter(loader)
    next(batches)
    first = time.process_time() - started
    drawn, started = 0, time.process_time()
    for batch in islice(batches, 100_000):
        drawn += batch.n_molecules
        if time.process_time() - started > SECONDS:
            break
    loader.load_state_dict({"given": len(loader) // 2})
    rate, started = drawn / (time.process_time() - started), time.process_time()
    next(iter(loader))
    return {
        "first batch (s)": first,
        "first batch, from the middle (s)": time.process_time() - started,
        "conformations/s": rate,
    }


STAGES: dict[str, Callable[..., Facts]] = {
    "generate": _generate,
    "verify": _verify,
    "systems": _systems,
    "open": _open,
    "split": _split,
    "epoch": _epoch,
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(look_up(STAGES, sys.argv[1], "stage")(*sys.argv[2:])) + "\n")
