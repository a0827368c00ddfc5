"""Data sets by name: which reader reads which files; opened as a store, converted on first use."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path

from filelock import FileLock

from lib.data.readers import READERS
from lib.data.selections import find_selection, load_selections, read_selection
from lib.data.store import ConformationStore
from lib.data.store_header import FORMAT, HEADER
from lib.errors import DataError, look_up
from lib.files import in_cache
from lib.paths import DATA, OFFICIAL, ROOT, STORES


@dataclass(frozen=True)
class DataSet:
    """A data set on disk.

    Attributes:
        name: for tables; ``suite/family`` or ``suite/family/system`` for the known ones.
        reader: a name of `READERS`, or `STORE`.
        path: its file or folder.
        level: level of theory, where the files do not state it.
        options: further keywords of the reader with their values, such as ``("systems", ("DHA",))``.
        selection: whether of its files only the part is taken that `selections` names for its reader.
    """

    name: str
    reader: str
    path: str
    level: str | None = None
    options: tuple[tuple[str, tuple[str, ...] | str | bool], ...] = ()
    selection: bool = False

    @property
    def stem(self) -> str:
        """The name as part of a file's name."""
        return self.name.replace("/", "-")


@dataclass(frozen=True)
class Family:
    """One line of `FAMILIES`: the data sets that one reader reads, in every suite.

    Attributes:
        label: what tables and figures call it; the paper's name, where it has one.
        systems: those of its systems that are fitted each by itself, ``mini/md22/DHA``: name in files, and label.
    """

    label: str
    systems: Mapping[str, str] = field(default_factory=dict)


STORE = "store"  # the reader of what is a store already, which is opened where it stands
SUITES: dict[str, str] = {
    "mini": "mini suite (GFN2-xTB)",
    "official": "published data",
    "published": "parts of the published data (ωB97X/6-31G(d))",  # of data sets without a selection, the whole
}
NAMES_IN_TABLES: dict[str, str] = {"mini": "mini {} (GFN2-xTB)", "official": "{}", "published": "part of {} (ωB97X)"}
FOLDERS: dict[str, Path] = {"mini": DATA / "mini", "official": OFFICIAL, "published": OFFICIAL}  # by suite
MD22_SYSTEMS: dict[str, str] = {
    "Ac-Ala3-NHMe": "Ac-Ala3-NHMe",
    "DHA": "DHA",
    "stachyose": "stachyose",
    "AT-AT": "AT-AT",
    "AT-AT-CG-CG": "AT-AT-CG-CG",
    "buckyball-catcher": "buckyball catcher",
    "double-walled_nanotube": "double-walled nanotube",
}
# A new data set is one line here and its reader, of the same name, in `lib.data.readers.READERS`.
FAMILIES: dict[str, Family] = {
    "ani1": Family("ANI-1"),
    "ani1x": Family("ANI-1x"),
    "iso17": Family("ISO17"),
    "spice": Family("SPICE"),
    "md22": Family("MD22", MD22_SYSTEMS),
}
SELECTED = "published"  # the suite of `selections`
READ_WITH = (
    "chemistry/atom_types.py",
    "chemistry/formal_charges.py",
    "chemistry/reference_energies.py",
    "units.py",
)  # what readers share


def family_of(data: str) -> str:
    """The family of ``data``, a name without its suite: ``md22`` of ``md22/DHA``."""
    return data.split("/")[0]


def known_datasets() -> dict[str, DataSet]:
    """Every data set of `FAMILIES` by name: ``mini/ani1x``, and of single systems ``mini/md22/DHA``."""
    names = list(product(SUITES, FAMILIES.items()))
    whole = [_dataset(suite, name) for suite, (name, _) in names]
    single = [_dataset(suite, name, system) for suite, (name, family) in names for system in family.systems]
    return {dataset.name: dataset for dataset in (*whole, *single)}


def _dataset(suite: str, family: str, system: str = "") -> DataSet:
    """That of ``family`` in ``suite``, whole or one ``system`` of it."""
    path = str(FOLDERS[suite] / family)
    if system:
        return DataSet(f"{suite}/{family}/{system}", family, path, options=(("systems", (system,)),))
    selected = suite == SELECTED and family in load_selections()
    return DataSet(f"{suite}/{family}", family, path, selection=selected)


def label(suite: str, data: str) -> str:
    """What tables and figures call a data set: the mini suite never goes by the published name alone.

    Args:
        suite: a name of `SUITES`.
        data: a name of `FAMILIES`, with or without a system (``md22/DHA``).

    Raises:
        ValueError: no such family; the message lists the names.
    """
    return NAMES_IN_TABLES[suite].format(look_up(FAMILIES, family_of(data), "data set").label)


def paper_names(suite: str) -> dict[str, str]:
    """The labels of the data sets by those that tables use for them in ``suite``."""
    return {NAMES_IN_TABLES[suite].format(family.label): family.label for family in FAMILIES.values()}


def find(name: str) -> DataSet:
    """The known data set ``name``.

    Raises:
        ValueError: there is none, and the message lists the names; or it is half registered, and the message says what
            is missing.
    """
    suite, _, data = name.partition("/")
    family, _, system = data.partition("/")
    known = suite in SUITES and family in FAMILIES and (not system or system in FAMILIES[family].systems)
    if not known and family in READERS and family not in FAMILIES:
        raise ValueError(f"data set {name!r} is half registered: its reader needs a line in lib.data.datasets.FAMILIES")
    if known and family not in READERS:
        raise ValueError(f"data set {name!r} is half registered: it needs a reader in lib.data.readers.READERS")
    return _dataset(suite, family, system) if known else look_up(known_datasets(), name, "data set")


def fingerprint_of(dataset: DataSet) -> str:
    """The fingerprint of the store of ``dataset``; of a selection, without its data."""
    return find_selection(dataset.reader).fingerprint if dataset.selection else open_store(dataset).fingerprint


def references_of(dataset: DataSet) -> str:
    """SHA-256 of the reference energies of the store of ``dataset``; of a selection, without its data."""
    if dataset.selection:
        return find_selection(dataset.reader).references
    return hashlib.sha256(open_store(dataset).references.tobytes()).hexdigest()


@in_cache()
def open_store(dataset: DataSet) -> ConformationStore:
    """The store of ``dataset``, converted first where its files are new or have changed (place, size or time).

    Processes that ask for the same data set convert it once. A selection's store is the same from whichever place its
    files were read, so once it is there its files are not needed.

    Raises:
        DataError: the files are missing or bad, or give another store than a selection says; it names the files, not
            the store. Or the store is not whole, and can be made again.
        OSError: the cache cannot be read or written.
    """
    path = Path(dataset.path)
    if dataset.reader == STORE:
        return _opened(path, _version(path))
    look_up(READERS, dataset.reader, "reader")
    if dataset.selection:
        target = STORES / f"{dataset.stem}-{find_selection(dataset.reader).fingerprint[:12]}"
    else:
        _check_there(dataset, path)
        target = STORES / f"{dataset.stem}-{_stamp(path, dataset)}"
    if not (target / HEADER).exists():
        _check_there(dataset, path)
        STORES.mkdir(parents=True, exist_ok=True)
        with FileLock(STORES / f".{target.name}.lock"):
            if not (target / HEADER).exists():  # no other process has converted it meanwhile
                if target.exists():
                    raise DataError(target, "", "its header.json is missing", _made_again(path))
                try:
                    _convert(dataset, path, target)
                except DataError as error:
                    if Path(error.path) != target:
                        raise
                    raise DataError(path, error.entry, error.problem, error.remedy) from error
    try:
        return _opened(target, _version(target))
    except DataError as error:  # its remedy is for a store that somebody converted
        raise DataError(target, error.entry, error.problem, _made_again(path)) from error


def _made_again(path: Path) -> str:
    """What to do where a store of the cache is not whole."""
    return f"remove this folder: it is made again from {path}"


def _convert(dataset: DataSet, path: Path, target: Path) -> None:
    """Write the store of ``dataset``; one of a selection must have the fingerprint by which recorded runs are found."""
    if not dataset.selection:
        options = {} if dataset.level is None else {"level": dataset.level}
        ConformationStore.write(READERS[dataset.reader](path, **options, **dict(dataset.options)), target)
        return
    store = ConformationStore.write(read_selection(dataset.reader, path), target)
    expected = fingerprint_of(dataset)
    if store.fingerprint != expected:
        shutil.rmtree(target)
        problem = f"{dataset.name} of it has the fingerprint {store.fingerprint[:12]}…, not {expected[:12]}…"
        raise DataError(path, "", problem, "take the published file as it is: its energies are others")


def _check_there(dataset: DataSet, path: Path) -> None:
    if not path.exists():
        remedy = f"check the path; a published data set comes with: python -m lib data fetch {dataset.reader}"
        if dataset.selection:
            remedy += f" (or is it elsewhere? python -m lib data select {dataset.reader} PATH)"
        raise DataError(path, "", f"{dataset.name} is not there", remedy)


@cache
def _opened(target: Path, version: tuple[int, ...]) -> ConformationStore:
    """Opened once per process, and again where another ``version`` was put in its place."""
    return ConformationStore.open(target)


def _version(target: Path) -> tuple[int, ...]:
    """Numbers that change where the store at ``target`` is replaced; none where it has no header that can be read."""
    try:
        header = (target / HEADER).stat()
    except OSError:  # opening says what is wrong
        return ()
    return header.st_ino, header.st_size, header.st_mtime_ns


def _stamp(path: Path, dataset: DataSet) -> str:
    """Twelve digits that change with the files, the code that reads them, the level and the store's format."""
    path = path.resolve()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    facts = [(str(file), (now := file.stat()).st_size, now.st_mtime_ns) for file in files]
    identity = (facts, _reading_code(), dataset.reader, dataset.level, dataset.options, FORMAT)
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:12]


@cache
def _reading_code() -> str:
    """SHA-256 of the source code of the readers and of the modules that they share."""
    folder = ROOT / "lib"
    files = sorted((folder / "data" / "readers").glob("*.py")) + [folder / name for name in READ_WITH]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
