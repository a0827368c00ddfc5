"""Data sets by name: which reader reads which files; opened as a store, converted on first use."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock

from lib.data.readers import READERS
from lib.data.store import FORMAT, ConformationStore
from lib.errors import DataError, look_up
from lib.paths import DATA, ROOT, STORES


@dataclass(frozen=True)
class DataSet:
    """A data set on disk.

    Attributes:
        name: for tables, ``suite/reader`` for the known ones.
        reader: a name of `READERS`.
        path: its file or folder.
        level: level of theory, where the files do not state it.
        options: further keywords of the reader with their values, such as ``("systems", ("DHA",))``.
    """

    name: str
    reader: str
    path: str
    level: str | None = None
    options: tuple[tuple[str, tuple[str, ...] | str | bool], ...] = ()

    @property
    def stem(self) -> str:
        """The name as part of a file's name."""
        return self.name.replace("/", "-")


SUITES: dict[str, str] = {"mini": "mini suite (GFN2-xTB)", "official": "published data"}
LABELS: dict[str, str] = {
    "ani1": "ANI-1",
    "ani1x": "ANI-1x",
    "iso17": "ISO17",
    "spice": "SPICE",
    "md22": "MD22",
}  # the paper's names of what each reader reads
MD22_SYSTEMS: dict[str, str] = {
    "Ac-Ala3-NHMe": "Ac-Ala3-NHMe",
    "DHA": "DHA",
    "stachyose": "stachyose",
    "AT-AT": "AT-AT",
    "AT-AT-CG-CG": "AT-AT-CG-CG",
    "buckyball-catcher": "buckyball catcher",
    "double-walled_nanotube": "double-walled nanotube",
}  # file name: the paper's name
READ_WITH = (
    "chemistry/atom_types.py",
    "chemistry/formal_charges.py",
    "chemistry/reference_energies.py",
    "units.py",
)  # what readers share
NAMES_IN_TABLES: dict[str, str] = {"mini": "mini {} (GFN2-xTB)", "official": "{}"}
DATASETS: dict[str, DataSet] = {
    f"{suite}/{reader}": DataSet(f"{suite}/{reader}", reader, str(DATA / suite / reader))
    for suite in SUITES
    for reader in LABELS
} | {  # each system of MD22 is fitted by itself: ``mini/md22/DHA``
    f"{suite}/md22/{system}": DataSet(
        f"{suite}/md22/{system}", "md22", str(DATA / suite / "md22"), options=(("systems", (system,)),)
    )
    for suite in SUITES
    for system in MD22_SYSTEMS
}


def label(suite: str, data: str) -> str:
    """What tables and figures call a data set: the mini suite never goes by the published name alone.

    Args:
        suite: a name of `SUITES`.
        data: a name of `LABELS`, with or without a system (``md22/DHA``).
    """
    return NAMES_IN_TABLES[suite].format(LABELS[data.split("/")[0]])


def paper_names(suite: str) -> dict[str, str]:
    """The paper's names of the data sets by those that tables use for them in ``suite``."""
    return {NAMES_IN_TABLES[suite].format(name): name for name in LABELS.values()}


def find(name: str) -> DataSet:
    """The known data set ``name``.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    return look_up(DATASETS, name, "data set")


def open_store(dataset: DataSet) -> ConformationStore:
    """The store of ``dataset``, converted first where its files are new or have changed (place, size or time).

    Processes that ask for the same data set convert it once.

    Raises:
        DataError: the files are missing or bad.
    """
    read = look_up(READERS, dataset.reader, "reader")
    path = Path(dataset.path)
    if not path.exists():
        remedy = f"check the path; a published data set comes with: python -m lib data fetch {dataset.reader}"
        raise DataError(path, "", f"{dataset.name} is not there", remedy)
    target = STORES / f"{dataset.stem}-{_stamp(path, dataset)}"
    if not (target / "header.json").exists():
        STORES.mkdir(parents=True, exist_ok=True)
        with FileLock(STORES / f".{target.name}.lock"):
            if not (target / "header.json").exists():  # nobody has converted it meanwhile
                options = {} if dataset.level is None else {"level": dataset.level}
                ConformationStore.write(read(path, **options, **dict(dataset.options)), target)
    return _opened(target)


@cache
def _opened(target: Path) -> ConformationStore:
    """Once a process: another content has another ``target``."""
    return ConformationStore.open(target)


def _stamp(path: Path, dataset: DataSet) -> str:
    """Twelve digits that change with the files, the code that reads them, the level and the store's format."""
    path = path.resolve()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    told = (facts, _reading_code(), dataset.reader, dataset.level, dataset.options, FORMAT)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]


@cache
def _reading_code() -> str:
    """The code of the readers and of what they share."""
    folder = ROOT / "lib"
    files = sorted((folder / "data" / "readers").glob("*.py")) + [folder / name for name in READ_WITH]
    return "".join(file.read_text(encoding="utf-8") for file in files)
