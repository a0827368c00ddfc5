"""Shared fixtures. The cache of all tests is a fresh folder, so nothing is found that an earlier run left."""

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = tempfile.mkdtemp(prefix="denoising-tests-")
os.environ["DENOISING_CACHE"] = CACHE
os.environ.setdefault("OMP_NUM_THREADS", "1")

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

from lib.chemistry.reference_energies import reference_energies  # noqa: E402
from lib.data.readers.molecule import Molecule  # noqa: E402
from lib.data.store import ConformationStore  # noqa: E402
from lib.paths import ROOT  # noqa: E402

SHARED = ROOT.parent / "shared"
SAMPLES = SHARED / "official_samples"
VECTORS = SHARED / "reference_vectors"
LEVEL = "GFN2-xTB"


SLOW = {  # modules that take more than ten seconds on two cores: they train, fuzz, or start other programs
    "test_mini_suite", "test_registry", "test_notebooks", "test_own_data", "test_resume", "test_sources", "test_batch",
    "test_label_checks", "test_fuzz", "test_processes", "test_statistics_and_tables", "test_recipes", "test_help",
    "test_bad_inputs", "test_trials", "test_trial_tables", "test_openmm",
    "test_runs", "test_run_together", "test_coverage", "test_precision", "test_input_norm",
    "test_results_prose", "test_rehearsal", "test_bench",
}  # fmt: skip


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)


def pytest_sessionfinish():
    shutil.rmtree(CACHE, ignore_errors=True)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def sample(name: str) -> Path:
    """A real sample file; the test is skipped where it is absent."""
    if not (SAMPLES / name).exists():
        pytest.skip(f"the real sample {name} is not beside this checkout")
    return SAMPLES / name


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond ``size`` bytes, by the kernel, so for every library alike."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def make_molecule(name: str, z: list[int], conformations: int, seed: int, forces: bool = False) -> Molecule:
    """Random but sane conformations whose energy is harmonic in the coordinates."""
    rng = np.random.default_rng(seed)
    z = np.array(z)
    base = 1.5 * rng.normal(size=(len(z), 3))
    positions = (base + 0.1 * rng.normal(size=(conformations, len(z), 3))).astype(np.float32)
    types = {1: 10, 6: 3, 7: 17, 8: 21}
    free = reference_energies(LEVEL, np.array([types[int(k)] for k in z])).sum()
    energy = free - 50.0 * len(z) + 100.0 * ((positions - base) ** 2).sum((1, 2))
    return Molecule(name, z, np.zeros_like(z), positions, energy.astype(np.float64),
                    -200.0 * (positions - base).astype(np.float32) if forces else None, LEVEL)  # fmt: skip


MOLECULES = {"water": [8, 1, 1], "methane": [6, 1, 1, 1, 1], "hcn": [1, 6, 7], "formamide": [6, 8, 7, 1, 1, 1]}


@pytest.fixture
def molecules() -> list[Molecule]:
    return [make_molecule(name, z, 20 + 3 * k, k) for k, (name, z) in enumerate(MOLECULES.items())]


@pytest.fixture
def store(molecules, tmp_path) -> ConformationStore:
    return ConformationStore.write(molecules, tmp_path / "store")


def write_ani1(path: Path, molecules: list[Molecule], level: str | None = LEVEL, root: str = "gdb11_s03") -> Path:
    """The ANI-1 layout."""
    symbols = {1: b"H", 6: b"C", 7: b"N", 8: b"O"}
    with h5py.File(path, "w") as file:
        if level is not None:
            file.attrs["level_of_theory"] = level
        for molecule in molecules:
            group = file.create_group(f"{root}/{molecule.name}")
            group["coordinates"] = molecule.positions
            group["energies"] = molecule.energy / 627.5094740631
            group["species"] = np.array([symbols[int(z)] for z in molecule.z])
    return path


def write_ani1x(path: Path, molecules: list[Molecule], key: str = "gfn2_xtb") -> Path:
    """The ANI-1x layout."""
    with h5py.File(path, "w") as file:
        for molecule in molecules:
            group = file.create_group(molecule.name)
            group["atomic_numbers"] = molecule.z.astype("u1")
            group["coordinates"] = molecule.positions
            group[f"{key}.energy"] = molecule.energy / 627.5094740631
    return path
