"""Weights files: what was changed since they were written, in parameters or header, is refused with its name."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lib import models
from lib.chemistry.atom_types import ATOM_TYPES
from lib.errors import DataError
from lib.models.weights import checksum, load_weights, save_weights
from lib.paths import DATA

TARGET = {"mean": 1.0, "std": 20.0, "per_type": [0.0] * len(ATOM_TYPES), "level": "GFN2-xTB", "types": [3, 10]}


@pytest.fixture
def path(tmp_path):
    torch.manual_seed(0)
    save_weights(
        tmp_path / "w.safetensors",
        "schnet",
        models.build("schnet", {"hidden_channels": 8}),
        task="energy",
        target=TARGET,
    )
    return tmp_path / "w.safetensors"


def parts(path) -> tuple[dict, dict]:
    with safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["about"])  # noqa: SIM118


def old(path, state: dict | None = None, **changes: object) -> None:
    """Write the file as before there was a checksum of the header, with ``changes`` of it."""
    written, about = parts(path)
    about = {key: value for key, value in (about | changes).items() if value is not None}
    about.pop("checksum_of_header", None)
    state = written if state is None else state
    save_file(state, path, {"about": json.dumps({"checksum": checksum(state)} | about | {"checksum": checksum(state)})})


def refused(path, *words: str) -> None:
    with pytest.raises(DataError) as caught:
        load_weights(path).build()
    for word in (str(path), *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('\\"mean\\": 1.0', '\\"mean\\": 7.0'),
        ('\\"std\\": 20.0', '\\"std\\": 29.0'),
        ("GFN2-xTB", "GFN2-XTB"),
        ('\\"cutoff\\": 5.0', '\\"cutoff\\": 6.0'),
        ("[3, 10]", "[3, 11]"),
    ],
)
def test_a_changed_header_is_seen(path, was, becomes):
    content = path.read_bytes()
    assert was.encode() in content
    path.write_bytes(content.replace(was.encode(), becomes.encode()))
    refused(path, "checksum_of_header")


def test_others_may_read_a_weights_file_as_they_may_any_other(path, tmp_path):
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_old_files_without_a_checksum_of_the_header_are_read(path):
    before = load_weights(path).build().state_dict()
    old(path)
    after = load_weights(path).build().state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_files_without_any_checksum_are_refused(path):
    state, about = parts(path)
    save_file(state, path, {"about": json.dumps({k: v for k, v in about.items() if not k.startswith("checksum")})})
    refused(path, "checksum", "not None")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_parameters_that_are_no_numbers(path, value):
    state, _ = parts(path)
    name = sorted(state)[-1]
    state[name].view(-1)[0] = value
    old(path, state)
    refused(path, name, "NaN or infinite")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model", ["egnn"], ("model", "is none of")),
        ("model", "__import__('os')", ("model", "is none of")),
        ("model", "egnn", ("settings", "has no setting")),
        ("settings", [], ("settings",)),
        ("settings", {"hidden_channels": 8, "cutoff": 0}, ("cutoff", "0 is no distance")),
        ("settings", {"hidden_channels": 8, "cutoff": float("nan")}, ("cutoff", "nan")),
        ("settings", {"hidden_channels": 8, "evil": 1}, ("evil",)),
        ("settings", {"hidden_channels": "many"}, ("settings",)),
        ("settings", {"hidden_channels": 16}, ("misshapen",)),
        ("task", ["energy"], ("task",)),
        ("target", None, ("target", "lacks")),
        ("target", TARGET | {"mean": float("nan")}, ("mean", "no finite number")),
        ("target", TARGET | {"std": 0}, ("std", "not above 0")),
        ("target", TARGET | {"std": "20"}, ("std", "no finite number")),
        ("target", TARGET | {"per_type": [0.0]}, ("per_type", "28 numbers")),
        ("target", TARGET | {"level": "PM7"}, ("level", "'PM7'")),
        ("target", TARGET | {"level": "PBE+MBD"}, ("level", "totals")),
        ("target", TARGET | {"types": [-1]}, ("types",)),
        ("target", TARGET | {"types": "all"}, ("types",)),
        ("target", TARGET | {"reach": [[0.9, 1.0]]}, ("reach", "no table of distances")),
        ("target", TARGET | {"reach": [[0.9, 1.0], [1.0, 0]]}, ("reach", "no table of distances")),
    ],
)
def test_headers_that_make_no_sense(path, key, value, words):
    old(path, **{key: value})
    refused(path, *words)


def test_old_files_that_name_the_only_composition_are_read_as_new_ones(path):
    only = [2 * (k in TARGET["types"]) for k in range(len(ATOM_TYPES))]
    old(path, target=TARGET | {"composition": only})
    assert load_weights(path).about["target"] == TARGET | {"compositions": [only]}
    old(path, target=TARGET | {"compositions": [only, only]})
    assert load_weights(path).about["target"] == TARGET | {"compositions": [only, only]}


def test_shipped_weights_name_compositions_as_new_ones_do():
    for file in sorted((DATA / "weights").glob("*.safetensors")):
        target = parts(file)[1].get("target", {})
        assert "composition" not in target
        assert not target or len(target["compositions"]) == 1


def test_shipped_weights_are_read():
    files = sorted((DATA / "weights").glob("*.safetensors"))
    assert files
    for file in files[:2]:
        assert load_weights(file).build()
