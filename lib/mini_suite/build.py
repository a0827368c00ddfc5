"""Make the mini suite: sample every molecule on every core, write the official layouts, one seed for all.

``python -m lib mini-suite ani1 ani1x`` replaces ``data/mini``. The number of processes changes nothing in the files.
"""

import os
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from lib.chemistry import xtb
from lib.errors import look_up
from lib.machine import available_cores, hardware
from lib.mini_suite import ani1, ani1x, example, iso17, md22, relaxed, spice
from lib.mini_suite.frames import Frames
from lib.mini_suite.free_atoms import write_reference_energies
from lib.mini_suite.sampling import read_lines, read_molecules

SEED = 2023
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Recipe:
    """How one mini data set is made: ``draw(pool, seed)`` yields its labelled frames, ``write`` makes its files."""

    draw: Callable[[Executor, int], list[Frames]]
    write: Callable[..., None]


def each_of(
    molecules: Path, sample: Callable[[str, int], Frames], read: Callable[[Path], list[str]] = read_molecules
) -> Callable[[Executor, int], list[Frames]]:
    """Draw ``sample(entry, seed)`` for every entry that ``read`` finds in the list ``molecules``."""

    def draw(pool: Executor, seed: int) -> list[Frames]:
        entries = read(molecules)
        seeds = [molecule_seed(seed, k) for k in range(len(entries))]
        return list(tqdm(pool.map(sample, entries, seeds), total=len(entries), desc=molecules.stem))

    return draw


RECIPES = {
    "ani1": Recipe(each_of(ani1.MOLECULES, ani1.sample), ani1.write),
    "ani1x": Recipe(each_of(ani1x.MOLECULES, ani1x.sample), ani1x.write),
    "iso17": Recipe(each_of(iso17.MOLECULES, iso17.sample), iso17.write),
    "spice": Recipe(each_of(spice.MOLECULES, spice.sample, read_lines), spice.write),
    "md22": Recipe(md22.draw, md22.write),
    "relaxed": Recipe(relaxed.draw, relaxed.write),
    "example": Recipe(each_of(example.MOLECULES, example.sample), example.write),
}


def build_reference_energies(folder: Path) -> None:
    """Write ``reference_energies.csv``, the free atoms and ions, into ``folder``."""
    os.environ.update(ONE_THREAD)
    folder.mkdir(parents=True, exist_ok=True)
    write_reference_energies(folder / "reference_energies.csv")


def molecule_seed(seed: int, index: int) -> int:
    """The seed of the molecule at line ``index`` of its list."""
    return seed * 100_000 + index


def build(name: str, folder: Path, seed: int = SEED, processes: int | None = None) -> None:
    """Make the data set ``name`` of `RECIPES` in ``folder / name``.

    Raises:
        ValueError: no such mini data set, or a molecule of the list cannot be sampled; it is named.
    """
    recipe = look_up(RECIPES, name, "mini data set")
    os.environ.update(ONE_THREAD)  # inherited by the workers, read when their libraries load
    with ProcessPoolExecutor(processes or available_cores(), mp_context=get_context("spawn")) as pool:
        sampled = recipe.draw(pool, seed)
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    attributes = {
        "level_of_theory": xtb.LEVEL,
        "about": f"mini suite (GFN2-xTB): stands for {name} in its layout; not the published data",
        "made_with": f"tblite {version('tblite')}, rdkit {version('rdkit')}, seed {seed}",
        "made_on": hardware("cpu"),
    }
    recipe.write(sampled, target, attributes)
