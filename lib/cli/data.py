"""The commands for the published data sets and files like them: list, fetch, verify, convert."""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from lib.errors import look_up


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add ``data`` to the command line."""
    parser = commands.add_parser("data", help="fetch, check and convert the published data sets, or files like them")
    actions = parser.add_subparsers(required=True, metavar="action")
    actions.add_parser("list", help="known data sets and whether they are there").set_defaults(function=_list_data)
    for name, function, text in (
        ("fetch", _fetch, "download what is missing, go on where a download broke off, check and unpack"),
        ("verify", _verify, "check the files that are there"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("name", help="a published data set")
        action.add_argument("--folder", type=Path, help="default: data/official/NAME")
        action.set_defaults(function=function)
    convert = actions.add_parser("convert", help="write a store; compare a published data set with Table 1")
    convert.add_argument("name", help="a reader: ani1, ani1x, iso17, spice, md22, own")
    convert.add_argument("path", type=Path, nargs="?", help="file or folder; default: data/official/NAME")
    convert.add_argument("store", type=Path, nargs="?", help="folder to write; default: the one that runs use")
    convert.add_argument("--level", help="level of theory, where the file does not state it")
    convert.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                         help="of the reader, e.g. energy_unit=eV for own, systems=DHA,AT-AT for md22")  # fmt: skip
    convert.set_defaults(function=_convert)


def _list_data(_: argparse.Namespace) -> None:
    from lib.data.datasets import known_datasets

    for dataset in known_datasets().values():
        there = "there" if Path(dataset.path).exists() else "missing"
        sys.stdout.write(f"{dataset.name:20} {there:8} {dataset.path}\n")


def _fetch(options: argparse.Namespace) -> None:
    from lib.data.sources import OFFICIAL, fetch, find_source

    source = find_source(options.name)
    sys.stdout.write(f"{options.name}: {source.citation}; licence: {source.licence}, {source.page}\n")
    for path in fetch(source.files, options.folder or OFFICIAL / options.name):
        sys.stdout.write(f"{path}\n")


def _verify(options: argparse.Namespace) -> None:
    from lib.data.sources import OFFICIAL, find_source, verify

    verdicts = verify(find_source(options.name).files, options.folder or OFFICIAL / options.name)
    for name, verdict in verdicts.items():
        sys.stdout.write(f"{name}: {verdict}\n")
    if not all(verdict.startswith("as ") for verdict in verdicts.values()):
        raise ValueError(f"{options.name} is not whole: python -m lib data fetch {options.name}")


def _convert(options: argparse.Namespace) -> None:
    from lib.data.datasets import DataSet, open_store
    from lib.data.readers import READERS
    from lib.data.sources import OFFICIAL, beside_table1, load_sources
    from lib.data.store import ConformationStore

    read = look_up(READERS, options.name, "reader")
    path, given = options.path or OFFICIAL / options.name, _reader_options(read, options)
    if options.store is None and not options.set:
        store = open_store(DataSet(f"official/{options.name}", options.name, str(path), options.level))
    elif options.store is None:
        raise ValueError(f"--set {options.set[0]} makes a store of its own: name the folder to write after the path")
    else:
        store = ConformationStore.write(read(path, **given), options.store)
    sys.stdout.write(f"{store.path}: {len(store.names)} molecules, {len(store)} conformations, {store.level}\n")
    if options.path is None:
        sys.stdout.writelines(line + "\n" for line in beside_table1(store, load_sources()[options.name]))


def _reader_options(read: Callable, options: argparse.Namespace) -> dict[str, str | list[str]]:
    """``--level`` and every ``--set`` as keyword arguments of ``read``; lists are separated by commas.

    Raises:
        ValueError: the reader has no such option, or needs one that is not given.
    """
    given = dict(item.split("=", 1) if "=" in item else (item, "") for item in options.set)
    if options.level is not None:
        given["level"] = options.level
    known = {name: p for name, p in inspect.signature(read).parameters.items() if name != "path"}
    unknown = sorted(set(given) - set(known))
    missing = sorted(name for name, p in known.items() if p.default is p.empty and name not in given)
    if unknown or missing:
        raise ValueError(
            f"reader options: unknown {unknown}, missing {missing}; give --set KEY=VALUE of {sorted(known)}"
        )
    lists = {name for name, p in known.items() if "Sequence[str]" in str(p.annotation)}
    return {name: value.split(",") if name in lists else value for name, value in given.items()}
