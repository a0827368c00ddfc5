"""The commands for the published data sets and files like them: list, fetch, verify, select, convert."""

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lib.cli.options import Force
from lib.cli.parsing import examples, new_group
from lib.cli.targets import check_folder, check_store
from lib.errors import look_up

app = new_group("Fetch, check and convert the published data sets, or files like them.")
Published = Annotated[
    str, typer.Argument(metavar="NAME", help="A published data set: ani1, ani1x, iso17, spice, md22.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--folder", metavar="FOLDER", help="Where its files are kept.", show_default="data/official/NAME"),
]


@app.command("list", epilog=examples("data list"))
def list_data() -> None:
    """List the known data sets and whether they are here."""
    from lib.data.datasets import known_datasets

    for dataset in known_datasets().values():
        state = "there" if Path(dataset.path).exists() else "missing"
        sys.stdout.write(f"{dataset.name:20} {state:8} {dataset.path}\n")


@app.command("fetch", epilog=examples("data fetch ani1x"))
def fetch_data(name: Published, folder: Folder = None) -> None:
    """Download what is missing, check and unpack it.

    An interrupted download goes on where it stopped.
    """
    from lib.data.sources import fetch, find_source
    from lib.paths import OFFICIAL

    source = find_source(name)
    check_folder("--folder", folder or OFFICIAL / name)
    sys.stdout.write(f"{name}: {source.citation}; licence: {source.licence}, {source.page}\n")
    for path in fetch(source.files, folder or OFFICIAL / name):
        sys.stdout.write(f"{path}\n")


@app.command("verify", epilog=examples("data verify ani1x"))
def verify_data(name: Published, folder: Folder = None) -> None:
    """Check that a published data set is there and unchanged."""
    from lib.data.sources import find_source, verify
    from lib.paths import OFFICIAL

    verdicts = verify(find_source(name).files, folder or OFFICIAL / name)
    for file, verdict in verdicts.items():
        sys.stdout.write(f"{file}: {verdict}\n")
    if not all(verdict.startswith("as ") for verdict in verdicts.values()):
        raise ValueError(f"{name} is not whole: python -m lib data fetch {name}")


@app.command("select", epilog=examples("data select ani1x", "data select ani1 downloads/ANI-1_release"))
def select_data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="ani1 or ani1x.")],
    path: Annotated[
        Path | None,
        typer.Argument(metavar="PATH", help="Its published file or folder.", show_default="data/official/NAME"),
    ] = None,
) -> None:
    """Take the part of a published data set that the scale `published` uses.

    The store is written to the cache, where runs find it; the files are not needed after that.
    """
    from lib.data.datasets import SELECTED, find, open_store
    from lib.data.selections import find_selection

    selection, dataset = find_selection(name), find(f"{SELECTED}/{name}")
    store = open_store(dataset if path is None else replace(dataset, path=str(path)))
    sys.stdout.write(f"{store.path}: {name}, {selection.what}, {store.level}\n")


@app.command(
    "convert",
    epilog=examples(
        "data convert ani1x",
        "data convert own my.xyz my-store --set energy_unit=eV",
        "data convert md22 data/mini/md22 my-store --set systems=DHA,AT-AT",
    ),
)
def convert(
    name: Annotated[str, typer.Argument(metavar="READER", help="ani1, ani1x, iso17, spice, md22, or own.")],
    path: Annotated[
        Path | None,
        typer.Argument(metavar="PATH", help="File or folder to read.", show_default="data/official/READER"),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Argument(metavar="STORE", help="New folder to write.", show_default="the one that runs use"),
    ] = None,
    level: Annotated[
        str | None, typer.Option("--level", metavar="NAME", help="Level of theory, where the file does not state it.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="An option of the reader, such as energy_unit=eV; may be repeated."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Convert files into a store, from which training reads.

    A published data set is compared with Table 1 of the paper. Whatever stands at STORE is left as it is, unless it
    is a store and --force is given.
    """
    from lib.data.datasets import DataSet, open_store
    from lib.data.readers import READERS
    from lib.data.sources import beside_table1, load_sources
    from lib.data.store import ConformationStore
    from lib.paths import OFFICIAL

    read = look_up(READERS, name, "reader")
    source, given = path or OFFICIAL / name, _reader_options(read, level, settings or ())
    if store is not None:
        check_store(store, force)
        opened = ConformationStore.write(read(source, **given), store, replace=force)
    elif settings:
        raise ValueError(f"--set {settings[0]} makes a store of its own: name the folder to write after the path")
    else:
        opened = open_store(DataSet(f"official/{name}", name, str(source), level))
    counts = f"{len(opened.names)} molecules, {len(opened)} conformations, {opened.level}"
    sys.stdout.write(f"{opened.path}: {counts}\n")
    if path is None and name in load_sources():
        sys.stdout.writelines(line + "\n" for line in beside_table1(opened, load_sources()[name]))


def _reader_options(read: Callable, level: str | None, settings: Sequence[str]) -> dict[str, str | list[str]]:
    """``--level`` and every ``--set`` as keyword arguments of ``read``; lists are separated by commas.

    Raises:
        ValueError: a setting is not KEY=VALUE or comes twice, or is a switch, True or False, which text is not; or the
            reader has no such option or needs one more.
    """
    given: dict[str, str] = {}
    for item in settings:
        key, equals, value = item.partition("=")
        if not (key and equals and value):
            raise ValueError(f"--set {item}: write KEY=VALUE, such as energy_unit=eV")
        if key in given:
            raise ValueError(f"--set {item}: {key} is given twice; give it once, lists separated by commas")
        given[key] = value
    if level is not None:
        given["level"] = level
    known = {name: p for name, p in inspect.signature(read).parameters.items() if name != "path"}
    for switch in [name for name, p in known.items() if isinstance(p.default, bool)]:
        del known[switch]
        if switch in given:
            raise ValueError(f"--set {switch}={given[switch]}: it is a switch, for Python alone; leave it out")
    unknown = sorted(set(given) - set(known))
    missing = sorted(name for name, p in known.items() if p.default is p.empty and name not in given)
    if unknown or missing:
        raise ValueError(
            f"reader options: unknown {unknown}, missing {missing}; give --set KEY=VALUE of {sorted(known)}"
        )
    lists = {name for name, p in known.items() if "Sequence[str]" in str(p.annotation)}
    return {name: value.split(",") if name in lists else value for name, value in given.items()}
