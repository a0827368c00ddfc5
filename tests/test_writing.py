"""Every place that writes, when it cannot: the disk is full, its folder cannot be written, the process is killed.

What was there before is whole, the error is one line that names the file, and nothing half-written is taken for whole.
`PLACES` lists the functions of `lib` that write; one that is not in it fails the first test.
"""

import ast
import errno
import os
import signal
import tarfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import full_disk, make_molecule
from matplotlib.figure import Figure

from lib import files, paths
from lib.cli.main import main
from lib.data import datasets
from lib.data.readers.archives import unpack
from lib.data.store import ConformationStore
from lib.mini_suite import build as mini_suite
from lib.models import build
from lib.models.weights import export_weights, load_weights, save_weights
from lib.own.datasets import example
from lib.own.evaluation import Comparison
from lib.paths import DATA, ROOT
from lib.report import tables
from lib.report.figures import style
from lib.report.pages import filling
from lib.runs import results, runner
from lib.runs.config import key_of
from lib.runs.results import Result
from lib.training.fit import AtomicCheckpoints

KEY, VERSIONS = key_of({}), {}
BESIDE, TEMPORARY, ONE_BY_ONE = (
    "beside its place, then moved",
    "into a folder that goes again",
    "what any call makes again",
)
PLACES = {
    "lib.files": BESIDE, "lib.data.store": BESIDE, "lib.data.sources": BESIDE, "lib.models.weights._write": BESIDE,
    "lib.training.fit.AtomicCheckpoints.save_checkpoint": BESIDE, "lib.runs.results.record": BESIDE,
    "lib.report.tables.save_table": BESIDE, "lib.report.figures.style.write_figure": BESIDE,
    "lib.own.evaluation.Comparison.save": BESIDE, "lib.mini_suite.md22.label_block": BESIDE,
    "lib.cli.bench": BESIDE, "lib.report.pages.filling.write": BESIDE,
    # into the hidden folder of a run, which is moved to its place when the run is finished
    "lib.runs.checksums.seal": BESIDE, "lib.runs.jobs": BESIDE, "lib.runs.runner": BESIDE,
    "lib.data.splits.Split.save": BESIDE,
    # into the hidden folder of `lib.mini_suite.build.build`
    "lib.mini_suite.frames.create_file": BESIDE, "lib.mini_suite.free_atoms.write_reference_energies": BESIDE,
    "lib.mini_suite.iso17": BESIDE, "lib.mini_suite.md22.write": BESIDE,
    "lib.bench.data._generate": TEMPORARY, "lib.bench.rehearsal": TEMPORARY, "lib.cli.targets.check_folder": TEMPORARY,
    "lib.report.pages.site": ONE_BY_ONE, "lib.mini_suite.dipoles": ONE_BY_ONE,
    "lib.mini_suite.published": ONE_BY_ONE, "lib.mini_suite.grow.write_list": ONE_BY_ONE,
    "lib.training.progress.RunLog": BESIDE, "lib.report.trajectories.Trajectory.record": BESIDE,
    "lib.own.trust.record": BESIDE, "lib.own.plan.steps_within": BESIDE,
}  # fmt: skip
WRITING = {"write_text", "write_bytes", "savez", "savez_compressed", "to_csv", "savefig", "save_file", "to_html",
           "write_html", "copyfile", "NamedTemporaryFile"}  # fmt: skip
OPENING, OF_MODULES = {"open", "File", "GzipFile"}, {("torch", "save"), ("os", "replace")}


def writes(call: ast.Call) -> bool:
    """Whether ``call`` writes a file, as far as its name and its mode tell."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    modes = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    opened = any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)
    module = getattr(getattr(call.func, "value", None), "id", "")
    return name in WRITING or (name in OPENING and opened) or (module, name) in OF_MODULES


def places_that_write() -> Iterator[str]:
    def visit(node: ast.AST, name: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            inner = f"{name}.{child.name}" if isinstance(child, (ast.FunctionDef, ast.ClassDef)) else name
            if isinstance(child, ast.Call) and writes(child):
                yield inner
            yield from visit(child, inner)

    for path in sorted((ROOT / "lib").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield from visit(ast.parse(path.read_text(encoding="utf-8")), module)


def test_every_place_that_writes_is_known():
    written = set(places_that_write())
    assert not [name for name in written if not any(f"{name}.".startswith(f"{known}.") for known in PLACES)]
    assert not [known for known in PLACES if not any(f"{name}.".startswith(f"{known}.") for name in written)]


@dataclass(frozen=True)
class Writer:
    """``write(folder, version)`` writes something of a ``version``, ``read(folder)`` says which one is there whole."""

    write: Callable[[Path, int], object]
    read: Callable[[Path], int]


def store_of(version: int):
    return [make_molecule("water", [8, 1, 1], 40 + version, 0), make_molecule("hcn", [1, 6, 7], 40, 1)]


def write_store(folder, version):
    ConformationStore.write(store_of(version), folder / "store", replace=True)


def read_store(folder):
    store = ConformationStore.open(folder / "store")
    store.verify()
    return len(store) - 80


def write_checkpoint(folder, version):
    AtomicCheckpoints().save_checkpoint({"version": version, "state": torch.zeros(10_000)}, folder / "last.ckpt")


def write_weights(folder, version):
    save_weights(folder / "w.safetensors", "egnn", EGNN, task="denoising", sigma=float(version))


def write_export(folder, version):
    run: dict = {"config": {}, "splits": {}, "provenance": {}}
    export_weights(SHIPPED, run, str(version), folder / "e.safetensors")


def write_record(folder, version):
    run = folder.parent / "run"
    run.mkdir(exist_ok=True)
    if not (run / "history.json").exists():
        (run / "history.json").write_text('{"validation_rmse": [1.0]}')
    noise = np.random.default_rng(version).integers(0, 10**9, 500).tolist()
    results.record(Result(KEY, run, {"version": version}, {"noise": noise, "identity": {}}), "laptop")


def read_record(_):
    return results._recorded(KEY).metrics["version"]


def write_table(folder, version):
    tables.save_table(pd.DataFrame({"version": [version] * 500}), "table", "smoke")


def write_figure(folder, version):
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot(np.arange(version))
    figure.suptitle(f"version {version}")
    style.save_figure(figure, "figure", "smoke")
    plt.close("all")


def read_figure(folder):
    image = plt.imread(folder / "smoke" / "figure.png")
    assert image.ndim == 3
    text = (folder / "smoke" / "figure.svg").read_text()
    assert text.rstrip().endswith("</svg>")
    return int(text.split("version ")[-1].split("<")[0].split()[0])


def write_comparison(folder, version):
    columns = ("frame", "molecule", "group", "atoms", "label", "prediction", "error")
    frames = pd.DataFrame({name: [version] * 500 for name in columns})
    Comparison(frames, pd.DataFrame({"label": [], "prediction": []})).save(folder, "own")


def write_benchmark(folder, version):
    files.write_text(folder / "bench.txt", f"{version}\n" * 500)


def write_page(folder, version):
    VERSIONS["page"] = f"{version}\n" * 500
    filling.write()


def write_archive(folder, version):
    source = folder.parent / f"{version}.tar.gz"
    if not source.exists():
        member = folder.parent / "member"
        member.write_text(f"{version}\n" * 500)
        with tarfile.open(source, "w:gz") as archive:
            archive.add(member, arcname="in/member")
    unpack(source, folder)


def write_mini_suite(folder, version):
    mini_suite.build("ani1", folder, seed=version, processes=1)  # the recipe of the fixture `folder`


def lines_of(*parts: str) -> Callable[[Path], int]:
    """Reads a file of one number on 500 lines."""

    def read(folder: Path) -> int:
        lines = folder.joinpath(*parts).read_text().splitlines()
        assert len(lines) == 500
        return int(lines[0])

    return read


def column(*parts: str) -> Callable[[Path], int]:
    """Reads a table of one number in 500 rows."""

    def read(folder: Path) -> int:
        table = pd.read_csv(folder.joinpath(*parts))
        assert len(table) == 500
        return int(table.iloc[:, 0].mean())

    return read


EGNN = build("egnn", {"hidden_channels": 8, "n_layers": 2})
SHIPPED = load_weights(min((DATA / "weights").glob("egnn-*.safetensors")))
WRITERS = {
    "store": Writer(write_store, read_store),
    "checkpoint": Writer(write_checkpoint, lambda folder: torch.load(folder / "last.ckpt")["version"]),
    "weights": Writer(write_weights, lambda folder: int(load_weights(folder / "w.safetensors").about["sigma"])),
    "export": Writer(write_export, lambda folder: int(load_weights(folder / "e.safetensors").about["run"])),
    "record": Writer(write_record, read_record),
    "table": Writer(write_table, column("smoke", "table.csv")),
    "figure": Writer(write_figure, read_figure),
    "evaluation": Writer(write_comparison, column("own-frames.csv")),
    "benchmark": Writer(write_benchmark, lines_of("bench.txt")),
    "page": Writer(write_page, lines_of("page.md")),
    "archive": Writer(write_archive, lines_of("in", "member")),
    "mini suite": Writer(write_mini_suite, lines_of("ani1", "made.txt")),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where everything is written."""
    out = tmp_path / "out"
    out.mkdir()
    for module in (tables, style):
        monkeypatch.setattr(module, "FIGURES", out)
    monkeypatch.setattr(results, "RECORDS", out)
    monkeypatch.setattr(filling, "pages", lambda: [out / "page.md"])
    monkeypatch.setattr(filling, "filled", lambda text: VERSIONS["page"])
    recipe = mini_suite.Recipe(lambda pool, seed: seed, lambda made, place, _: lines(place / "made.txt", made))
    monkeypatch.setattr(mini_suite, "RECIPES", {"ani1": recipe})
    monkeypatch.setattr(mini_suite, "ProcessPoolExecutor", lambda *_, **__: nullcontext())
    return out


def lines(path: Path, version: int) -> None:
    path.write_text(f"{version}\n" * 500)


def left(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def prepared(name: str, folder: Path) -> Writer:
    """The writer called ``name``, which has written version 1, and has what it needs for version 2."""
    writer = WRITERS[name]
    (folder / "page.md").write_text("as it was")
    for version in (2, 1):
        writer.write(folder, version)
    assert writer.read(folder) == 1
    return writer


@pytest.mark.parametrize(
    ("name", "size"),
    # in the middle of a checkpoint torch hides the system's error in its own
    [*((name, size) for name in WRITERS for size in (0, 300)), *(("checkpoint", size) for size in (5000, 20_000))],
)
def test_a_full_disk(name, size, folder):
    writer, before = prepared(name, folder), left(folder)
    with (
        full_disk(size),
        pytest.raises(OSError, match=f"it cannot be written .*{os.strerror(errno.EFBIG)}") as caught,
    ):
        writer.write(folder, 2)
    assert str(folder) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert writer.read(folder) == 1
    assert left(folder) == before
    writer.write(folder, 2)
    assert writer.read(folder) == 2


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_cannot_be_written(name, folder, monkeypatch):
    """What is written cannot be moved to its place, as where the folder's owner is another."""
    writer, before = prepared(name, folder), left(folder)

    def refuse(source, target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))

    with monkeypatch.context() as patch, pytest.raises(OSError, match=r"it cannot be written \(Permission denied\)"):
        patch.setattr(os, "replace", refuse)
        writer.write(folder, 2)
    assert writer.read(folder) == 1
    assert left(folder) == before


@pytest.mark.parametrize("name", WRITERS)
def test_a_process_that_is_killed_before_the_end(name, folder):
    """With everything written, and nothing in its place."""
    writer = prepared(name, folder)
    child = os.fork()
    if child == 0:
        try:
            os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
            writer.write(folder, 2)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert writer.read(folder) == 1
    writer.write(folder, 2)
    assert writer.read(folder) == 2


@pytest.mark.parametrize("umask", [0o022, 0o027])
@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_has_the_permissions_that_the_umask_gives(name, umask, folder):
    """A cache can be shared: a temporary folder or file would stay its owner's alone."""
    before = os.umask(umask)
    try:
        prepared(name, folder)
    finally:
        os.umask(before)
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~umask, path


@pytest.mark.parametrize("place", ["/proc", "a file"])
def test_a_place_where_no_folder_can_be(place, folder):
    """Those that are told where to write."""
    (folder / "file").write_text("mine")
    there = Path("/proc/denoising") if place == "/proc" else folder / "file" / "inside"
    for name in ("store", "checkpoint", "weights", "export", "evaluation", "benchmark"):
        with pytest.raises(OSError, match=str(there)) as caught:
            WRITERS[name].write(there, 1)
        assert len(str(caught.value).splitlines()) == 1
    assert (folder / "file").read_text() == "mine"


def test_a_link_stays_a_link(folder):
    (folder / "real.txt").write_text("before")
    (folder / "link.txt").symlink_to("real.txt")
    files.write_text(folder / "link.txt", "after")
    assert (folder / "link.txt").is_symlink()
    assert (folder / "real.txt").read_text() == "after"


def test_an_error_that_is_not_of_the_disk_leaves_nothing(folder):
    for context in (files.whole_file(folder / "a.txt"), files.whole_files(folder / "b")):
        with pytest.raises(ZeroDivisionError), context as part:
            (part if part.is_dir() else part.parent).joinpath("begun").touch()
            raise ZeroDivisionError
    assert not (folder / "a.txt").exists()
    assert not list((folder / "b").iterdir())


@pytest.fixture
def cache(folder, monkeypatch):
    """The place of the cache, where nothing is yet."""
    monkeypatch.setattr(paths, "CACHE", folder / "cache")
    monkeypatch.setattr(datasets, "STORES", folder / "cache" / "stores")
    monkeypatch.setattr(runner, "RUNS", folder / "cache" / "runs")
    return folder / "cache"


@pytest.mark.parametrize("command", ["runs list", "runs verify", "runs gc", "finetune --energy-unit eV --check --data"])
def test_a_file_where_the_cache_should_be(command, cache, capsys):
    cache.write_text("mine")
    data = [example().path] if command.endswith("--data") else []
    assert main([*command.split(), *data]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {cache}: this place for converted data and runs, the cache, cannot be used (")
    assert line.endswith(": Not a directory); change its permissions, or set DENOISING_CACHE to another folder")
    assert cache.read_text() == "mine"


def test_a_cache_of_another_owner(cache, monkeypatch, capsys):
    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    remedy = "change its permissions, or set DENOISING_CACHE to another folder"
    with monkeypatch.context() as patch:
        patch.setattr(datasets, "FileLock", refuse)
        with pytest.raises(OSError, match=rf"^{cache}: .* \({cache}/.*lock: Permission denied\); {remedy}$"):
            datasets.open_store(example())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", refuse)
        assert main(["runs", "list"]) == 1
    assert capsys.readouterr().err.endswith(f"({cache}/runs: Permission denied); {remedy}\n")
    with pytest.raises(PermissionError, match=r"^\[Errno 13\] Permission denied: '/other'$"), files.in_cache():
        refuse("/other")
    with pytest.raises(OSError, match=r"or set DENOISING_CACHE to another folder$"), files.writing(cache / "runs"):
        refuse(cache / "runs")


def test_a_cache_that_cannot_be_made_is_named(monkeypatch):
    """The system says of a folder where none can be made that there is no such file."""
    cache = Path("/proc/none/cache")
    monkeypatch.setattr("lib.paths.CACHE", cache)
    with pytest.raises(OSError, match=r"^/proc/none/cache: this place for .*, the cache, cannot"), files.in_cache():
        (cache / "stores").mkdir(parents=True)
