"""HDF5 for the readers: every name in a file is opened or is an error, and no value is made up.

HDF5 itself follows links out of a file, fills with zeros what was never stored, and h5py leaves out names that it
cannot open; here each of these is an error.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from lib.errors import DataError
from lib.readers.checks import ANOTHER_LAYOUT, COPY_AGAIN, refuse_empty, refuse_kind, text

BROKEN = (OSError, RuntimeError, LookupError, ValueError, TypeError, MemoryError, OverflowError)  # what h5py raises
DENSEST = 1100  # bytes that one stored byte can stand for: gzip packs zeros 1032 to 1
TEXTS = "SO"


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open for reading; whatever HDF5 cannot read, then or later, becomes a `DataError` that names the file."""
    refuse_empty(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DataError:
        raise
    except BROKEN as error:
        raise DataError(path, "", f"HDF5 cannot read it ({error})", COPY_AGAIN) from error


def groups(path: Path, parent: h5py.Group, what: str) -> list[h5py.Group]:
    """All groups in ``parent``, in the order of their names; everything in them can be opened, too.

    Args:
        path: of the file.
        parent: a group, or the file.
        what: the kind of group, for errors.

    Raises:
        DataError: there is none, or something else is among them, or a name cannot be opened.
    """
    found = members(path, parent)
    if not found:
        raise DataError(path, parent.name, f"no {what} in it: it is empty", ANOTHER_LAYOUT)
    for name, member in found.items():
        if not isinstance(member, h5py.Group):
            raise DataError(path, f"{parent.name.rstrip('/')}/{name}", f"it is no group, but a {what} should be one",
                            ANOTHER_LAYOUT)  # fmt: skip
        members(path, member)
    return list(found.values())


def members(path: Path, group: h5py.Group) -> dict[str, Any]:
    """Everything in ``group`` by name, opened.

    Raises:
        DataError: a name is a link to elsewhere, or cannot be opened.
    """
    out = {}
    try:
        names = list(group)
    except BROKEN as error:
        raise DataError(path, group.name, f"HDF5 cannot list it ({error})", COPY_AGAIN) from error
    for name in names:
        entry = f"{group.name.rstrip('/')}/{name}"
        try:
            link = group.get(name, getlink=True)
            out[name] = group[name] if isinstance(link, h5py.HardLink) else None
        except BROKEN as error:
            raise DataError(path, entry, f"HDF5 cannot open it ({error})", COPY_AGAIN) from error
        if out[name] is None:
            target = f"{getattr(link, 'filename', '')}{link.path}"
            raise DataError(path, entry, f"it is a link to {target!r}", "put what it links to in its place")
    return out


def dataset(path: Path, group: h5py.Group, key: str, kinds: str = "f", dimensions: int | None = None) -> NDArray:
    """The array ``group[key]``.

    Args:
        path: of the file.
        group: of one molecule.
        key: the name of the data set.
        kinds: of its type, in the letters of numpy: ``f`` floating-point, ``iu`` whole numbers, ``SO`` texts.
        dimensions: how many it must have; None: any number but zero.

    Raises:
        DataError: it is not in the group, is of another type or shape, or its values are not in the file.
    """
    entry = f"{group.name.rstrip('/')}/{key}"
    try:
        data = group.get(key)
        if not isinstance(data, h5py.Dataset):
            raise DataError(path, group.name, f"no data set {key!r} among {sorted(group)[:30]}", ANOTHER_LAYOUT)
        if data.shape is None:
            raise DataError(path, entry, "it is empty, without a shape", COPY_AGAIN)
        refuse_kind(path, entry, data.dtype, data.shape, kinds, dimensions)
        _refuse_unstored(path, entry, data)
        return data[()]
    except DataError:
        raise
    except BROKEN as error:
        raise DataError(path, entry, f"HDF5 cannot read it ({error})", COPY_AGAIN) from error


def texts(path: Path, group: h5py.Group, key: str) -> list[str]:
    """The texts of the data set ``group[key]`` of one dimension.

    Raises:
        DataError: as `dataset`, or a text is not UTF-8.
    """
    return [text(path, f"{group.name}/{key}", value) for value in dataset(path, group, key, TEXTS, 1)]


def stated(path: Path, item: h5py.Group, keys: tuple[str, ...]) -> str | None:
    """What a file or group says in the first of ``keys`` that it has as an attribute or data set; None for nothing.

    Raises:
        DataError: it is no single text.
    """
    for key in keys:
        if key in item.attrs:
            try:
                return text(path, f"{item.name}, attribute {key}", item.attrs[key])
            except BROKEN as error:
                if isinstance(error, DataError):
                    raise
                raise DataError(path, item.name, f"attribute {key} cannot be read ({error})", COPY_AGAIN) from error
        if key in item:
            return text(path, f"{item.name}/{key}", np.asarray(texts(path, item, key)))
    return None


def _refuse_unstored(path: Path, entry: str, data: h5py.Dataset) -> None:
    """Refuse values that are elsewhere, or nowhere, so that HDF5 would read zeros or ask for endless memory."""
    if data.is_virtual or data.external:
        where = "other files (external storage)" if data.external else "other data sets (a virtual data set)"
        raise DataError(
            path, entry, f"its values are in {where}", "put the values into this file: h5repack copies them"
        )
    declared = data.size * data.id.get_type().get_size()
    size = path.stat().st_size
    if declared > size * (DENSEST if data.chunks else 1):
        raise DataError(path, entry, f"it declares {declared} bytes, but the file has {size}", COPY_AGAIN)
    if data.chunks:
        count, needed = data.id.get_num_chunks(), math.prod(math.ceil(n / c) for n, c in zip(data.shape, data.chunks))  # noqa: B905
        missing = f"{needed - count} of its {needed} pieces are"
    else:
        count, needed = data.id.get_storage_size(), declared
        missing = f"{needed - count} of its {needed} bytes are"
    if count < needed:
        raise DataError(path, entry, f"{missing} not in the file", COPY_AGAIN)
