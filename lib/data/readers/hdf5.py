"""HDF5 for the readers: every name in a file is opened or is an error, and no value is made up.

HDF5 itself follows links out of a file, fills with zeros what was never stored, and h5py leaves out names that it
cannot open; here each of these is an error.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from lib.data.readers.checks import ANOTHER_LAYOUT, COPY_AGAIN, DENSEST, refuse_empty, refuse_kind, text
from lib.data.readers.guard import refuse_endless
from lib.data.readers.hdf5_groups import refuse_shortened
from lib.errors import DataError

BROKEN = (OSError, RuntimeError, LookupError, ValueError, TypeError, MemoryError, OverflowError)  # what h5py raises
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
    """All groups in ``parent``, in the order of their names.

    Args:
        path: of the file.
        parent: a group, or the file.
        what: the kind of group, for errors.

    Raises:
        DataError: there is none, or something else is among them, or a name cannot be opened.
    """
    inside = members(path, parent)
    if not inside:
        raise DataError(path, parent.name, f"no {what} in it: it is empty", ANOTHER_LAYOUT)
    for name, member in inside.items():
        if not isinstance(member, h5py.h5g.GroupID):
            raise DataError(
                path, f"{parent.name.rstrip('/')}/{name}", f"it is no group, but a {what} should be one", ANOTHER_LAYOUT
            )
    return [h5py.Group(member) for member in inside.values()]


def members(path: Path, group: h5py.Group) -> dict[str, Any]:
    """Everything in ``group`` by name, opened, as h5py's low-level objects, which are made quickly.

    Raises:
        DataError: a name is a link to elsewhere, or cannot be opened.
    """
    out, name = {}, ""
    try:
        for encoded in group.id:
            name = encoded.decode(errors="surrogateescape")
            if group.id.links.get_info(encoded).type != h5py.h5l.TYPE_HARD:
                link = group.get(name, getlink=True)
                target = f"{getattr(link, 'filename', '')}{getattr(link, 'path', '')}"
                raise DataError(
                    path,
                    f"{group.name.rstrip('/')}/{name}",
                    f"it is a link to {target!r}",
                    "put what it links to in its place",
                )
            out[name] = h5py.h5o.open(group.id, encoded)
        refuse_shortened(path, group, out)
    except DataError:
        raise
    except BROKEN as error:
        problem = f"HDF5 cannot open {name!r} or what follows it ({error})"
        raise DataError(path, group.name, problem, COPY_AGAIN) from error
    return out


@dataclass(frozen=True)
class Entry:
    """A group of one molecule; everything in it is opened, so that nothing is passed over."""

    path: Path
    name: str
    group: h5py.Group
    members: dict[str, Any]
    size: int  # bytes of the file
    looked_at: bool  # whether all texts of variable length can be read

    @staticmethod
    def of(path: Path, group: h5py.Group, looked_at: bool = False) -> "Entry":
        """The entry of ``group`` in the file at ``path``; ``looked_at`` after `refuse_endless_texts`.

        Raises:
            DataError: as `members`.
        """
        return Entry(path, group.name, group, members(path, group), path.stat().st_size, looked_at)

    def dataset(self, key: str, kinds: str = "f", dimensions: int | None = None) -> NDArray:
        """The array called ``key``.

        Args:
            key: the name of the data set.
            kinds: of its type, in the letters of numpy: ``f`` floating-point, ``iu`` whole numbers, ``SO`` texts.
            dimensions: how many it must have; None: any number but zero.

        Raises:
            DataError: it is not in the group, is of another type or shape, or its values are not in the file.
        """
        member = self.members.get(key)
        if not isinstance(member, h5py.h5d.DatasetID):
            problem = f"no data set {key!r} among {sorted(self.members)[:30]}"
            raise DataError(self.path, self.name, problem, ANOTHER_LAYOUT)
        try:
            data = h5py.Dataset(member)
            if member.shape is None:
                raise DataError(self.path, f"{self.name}/{key}", "it is empty, without a shape", COPY_AGAIN)
            refuse_kind(self.path, f"{self.name}/{key}", member.dtype, member.shape, kinds, dimensions)
            self._refuse_unstored(key, member)
            if not self.looked_at and member.dtype.kind == "O":
                refuse_endless(self.path, f"{self.name}/{key}", [lambda: data[()]])
            return data[()]
        except DataError:
            raise
        except BROKEN as error:
            raise DataError(self.path, f"{self.name}/{key}", f"HDF5 cannot read it ({error})", COPY_AGAIN) from error

    def _refuse_unstored(self, key: str, member: h5py.h5d.DatasetID) -> None:
        """Refuse values that are elsewhere, or nowhere, so that HDF5 would read zeros or ask for endless memory."""
        place, created = f"{self.name}/{key}", member.get_create_plist()
        layout = created.get_layout()
        if layout == h5py.h5d.VIRTUAL or created.get_external_count():
            where = "other data sets (virtual)" if layout == h5py.h5d.VIRTUAL else "other files (external storage)"
            raise DataError(self.path, place, f"its values are in {where}", "put the values into this file (h5repack)")
        chunked = layout == h5py.h5d.CHUNKED
        declared = math.prod(member.shape) * member.get_type().get_size()
        if declared > self.size * (DENSEST if chunked else 1):
            raise DataError(self.path, place, f"it declares {declared} bytes, but the file has {self.size}", COPY_AGAIN)
        if chunked:
            kind, stored = "pieces", member.get_num_chunks()
            whole = math.prod(-(-n // c) for n, c in zip(member.shape, created.get_chunk(), strict=True))
        else:
            kind, stored, whole = "bytes", member.get_storage_size(), declared
        if stored < whole:
            raise DataError(self.path, place, f"{whole - stored} of its {whole} {kind} are not in it", COPY_AGAIN)

    def texts(self, key: str) -> list[str]:
        """The texts of the data set ``key`` of one dimension.

        Raises:
            DataError: as `dataset`, or a text is not UTF-8.
        """
        values = self.dataset(key, TEXTS, 1)
        return [text(self.path, f"{self.name}/{key}", value) for value in values.tolist()]

    def one_text(self, key: str) -> str:
        """The first text of the data set ``key``.

        Raises:
            DataError: as `texts`, or it has none.
        """
        values = self.texts(key)
        if not values:
            raise DataError(self.path, f"{self.name}/{key}", "it has no text", "correct the file")
        return values[0]

    def stated(self, keys: tuple[str, ...]) -> str | None:
        """What the group says in the first of ``keys`` that it has as an attribute or data set; None for nothing.

        Raises:
            DataError: it is no text.
        """
        said = stated(self.path, self.group, keys)
        key = next((key for key in keys if key in self.members), None)
        return self.one_text(key) if said is None and key is not None else said


def refuse_endless_texts(path: Path, molecules: list[h5py.Group], keys: tuple[str, ...]) -> None:
    """Read the texts ``keys`` of all groups in a child process, all at once, since a process for each takes long.

    Raises:
        DataError: reading one does not end.
    """
    refuse_endless(path, "", (partial(_value, group, key) for group in molecules for key in keys))


def _value(group: h5py.Group, key: str) -> Any:
    return group[key][()]


def stated(path: Path, item: h5py.Group, keys: tuple[str, ...]) -> str | None:
    """What a file or group says in the first of ``keys`` that it has as an attribute; None for nothing.

    Raises:
        DataError: it is no text.
    """
    try:
        if not h5py.h5a.get_num_attrs(item.id):
            return None
        key = next((key for key in keys if key in item.attrs), None)
        if key is not None and item.attrs.get_id(key).dtype.kind == "O":
            refuse_endless(path, f"{item.name}, attribute {key}", [partial(item.attrs.__getitem__, key)])
        value = None if key is None else item.attrs[key]
    except BROKEN as error:
        raise DataError(path, item.name, f"its attributes cannot be read ({error})", COPY_AGAIN) from error
    return None if key is None else text(path, f"{item.name}, attribute {key}", value)
