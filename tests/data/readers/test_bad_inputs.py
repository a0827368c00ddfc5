"""A folder of small hostile or broken files: each gives right values or one clear error line, and nothing else.

The files are read where they stand; without them the test is skipped.
"""

import hashlib
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED

from lib.data.readers import READERS
from lib.errors import DataError
from lib.paths import DATA
from lib.potentials.ensemble import Potential
from lib.units import EV

FOLDER = SHARED / "bad_inputs"
FILES = sorted(path for path in FOLDER.glob("*") if path.suffix != ".md") if FOLDER.exists() else []
EXAMPLE = DATA / "mini" / "example" / "methyl-salicylate.xyz"
WHOLE = {  # those that are read all the same: how many conformations
    "blank.xyz": 30, "joined.xyz": 30, "x@2.xyz": 30, "newline.tar.gz": 120, "setuid.tar.gz": 120,
    "own-bom.xyz": 1, "own-cr-only.xyz": 1, "own-element-lower.xyz": 1, "own-element-6.xyz": 1,
    "own-many-brackets.xyz": 1, "own-name-newline.xyz": 1, "own-name-slash.xyz": 1,
    "own-calculator-1.db": 20, "own-constraints-2.db": 20, "own-data-1.db": 20, "own-data-5.db": 20,
    "own-initial_charges-2.db": 20, "own-key_value_pairs-3.db": 20, "own-natoms-1.db": 20, "own-pbc-2.db": 20,
    "own-trigger.db": 20,
}  # fmt: skip
LONGEST = 20  # seconds


def readers_of(path: Path) -> list[str]:
    """The readers that a file is for, told by its name."""
    if path.suffix == ".h5":
        return ["ani1", "ani1x", "spice"]
    if "iso17" in path.name or path.name.endswith(".tar.gz"):
        return ["iso17"]
    return ["md22"] if path.name.startswith("md22") else ["own"]


@pytest.fixture(autouse=True)
def _no_hang():
    def stop(*_):
        pytest.fail(f"it took more than {LONGEST} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    yield
    signal.alarm(0)


def test_the_folder_is_there():
    if not FILES:
        pytest.skip("the folder of broken files, ../shared/bad_inputs, is not beside this checkout")
    assert len(FILES) > 100
    assert set(WHOLE) <= {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_right_values_or_one_clear_error(path):
    before = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns
    if path.name.startswith("w-"):
        check_weights(path)
    else:
        for reader in readers_of(path):
            check_reader(reader, path)
    assert (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) == before
    assert not [other for other in FOLDER.iterdir() if other.name.startswith(f"{path.name}-")]  # journals and the like


def check_weights(path: Path) -> None:
    if path.name == "w-extra-meta.safetensors":  # more in the header than was written, and nothing less
        assert Potential.load(path, device="cpu").level == "GFN2-xTB"
        return
    with pytest.raises(DataError) as caught:
        Potential.load(path, device="cpu")
    assert_clear(caught.value, path)


def check_reader(reader: str, path: Path) -> None:
    options = {"energy_unit": "eV"} if reader == "own" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if path.name not in WHOLE:
            with pytest.raises(DataError) as caught:
                list(READERS[reader](path, **options))
            assert_clear(caught.value, path)
            return
        molecules = list(READERS[reader](path, **options))
    assert sum(len(m.energy) for m in molecules) == WHOLE[path.name]
    if WHOLE[path.name] in (20, 30):
        assert_example(molecules)
    elif reader == "own":
        assert molecules[0].energy.tolist() == [EV]
        np.testing.assert_allclose(np.ptp(molecules[0].positions, axis=1).max(), 0.87, atol=0.14)  # of H2, Å


def assert_example(molecules: list) -> None:
    """The first frames of the shipped example, which these files were made of."""
    (example,) = READERS["own"](EXAMPLE, energy_unit="eV")
    (molecule,) = molecules
    n = len(molecule.energy)
    np.testing.assert_allclose(molecule.energy, example.energy[:n], rtol=1e-9)
    np.testing.assert_allclose(molecule.positions, example.positions[:n], atol=1e-5)
    np.testing.assert_allclose(molecule.forces, example.forces[:n], atol=1e-3)


def assert_clear(error: DataError, path: Path) -> None:
    """One line of moderate length that names the file and a remedy."""
    assert "\n" not in str(error)
    assert str(error).startswith(str(path))
    assert error.problem
    assert error.remedy
    assert len(str(error)) < 1200
