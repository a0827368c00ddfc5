"""Groups of HDF5's older format, held against what the file keeps of them twice, since nothing there has a checksum.

Such a group is a tree whose leaves list names in order (https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html,
"Disk Format: Level 1A1" and "Level 1B"). A leaf or a node that says that it has fewer entries than were written is read
without a word by HDF5. But a tree keeps, beside each leaf, the last name in it, and a shortened node still has the
address of what it no longer counts, whose names are still among the group's. Newer groups have checksums, which HDF5
checks.
"""

import mmap
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from lib.errors import DataError

MESSAGE, CONTINUATION = 0x11, 0x10  # of an object header: where a group's tree is, and where the header goes on
LEAF, NODE = b"SNOD", b"TREE"


def refuse_shortened(path: Path, group: h5py.Group, names: Collection[str]) -> None:
    """Look for entries of ``group`` that are in the file and that its tree no longer counts.

    Args:
        path: of the file.
        group: of it.
        names: what HDF5 lists in it.

    Raises:
        DataError: there are some, or the tree cannot be followed.
    """
    sizes = group.file.id.get_create_plist().get_sizes()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        tree = _Tree(content, group.file.userblock_size, *sizes)
        try:
            whole = tree.is_whole(h5py.h5o.get_info(group.id).addr, names)
        except (IndexError, RecursionError):
            whole = False
    if not whole:
        raise DataError(path, group.name, "its list of names is shorter than it was", "copy or download it again")


@dataclass(frozen=True)
class _Tree:
    """The file's ``content``, after ``base`` bytes of something else; bytes of an address, and of a length."""

    content: mmap.mmap
    base: int
    address: int
    length: int

    def is_whole(self, header: int, names: Collection[str]) -> bool:
        """Whether the group whose object header is at ``header`` is of the newer format, or counts all its entries."""
        root, heap = next(self._roots(header), (None, 0))
        if root is None:
            return True
        return self._last_name(root, set()) is not None and self._uncounted_name(root, heap) in (None, *names)

    def _number(self, place: int, size: int) -> int:
        place += self.base
        if not 0 <= place <= len(self.content) - size:
            raise IndexError(place)
        return int.from_bytes(self.content[place : place + size], "little")

    def _is(self, what: bytes, place: int) -> bool:
        return self.content[self.base + place : self.base + place + len(what)] == what

    def _roots(self, header: int) -> Iterator[tuple[int, int]]:
        """The addresses of the group's tree and of its heap of names, if it has those of the older format."""
        if self._number(header, 1) != 1:  # a newer header begins with letters
            return
        blocks = [(header + 16, self._number(header + 8, 4))]
        for start, size in blocks:
            place = start
            while place + 8 <= start + size:
                kind, bytes_of_it = self._number(place, 2), self._number(place + 2, 2)
                if kind == MESSAGE:
                    yield self._number(place + 8, self.address), self._number(place + 8 + self.address, self.address)
                elif kind == CONTINUATION and len(blocks) < 1000:
                    further = self._number(place + 8, self.address)
                    blocks.append((further, self._number(place + 8 + self.address, self.length)))
                place += 8 + bytes_of_it

    def _entries(self, node: int) -> tuple[int, int, int]:
        """Of a node: how many children it counts, where its first key is, and how far one is from the next."""
        return self._number(node + 6, 2), node + 8 + 2 * self.address, self.length + self.address

    def _last_name(self, place: int, counted: set[int]) -> int | None:
        """Where the last name below ``place`` is in the heap; None where it is not the one that the tree states."""
        if place in counted:
            return None
        counted.add(place)
        if self._is(LEAF, place):
            last = place + 8 + (self._number(place + 6, 2) - 1) * (2 * self.address + 24)
            return self._number(last, self.address) if last >= place + 8 else None
        if not self._is(NODE, place):
            return None
        number, first, step = self._entries(place)
        for k in range(number):
            child = self._number(first + k * step + self.length, self.address)
            if self._last_name(child, counted) != self._number(first + (k + 1) * step, self.length):
                return None
        return self._number(first + number * step, self.length)

    def _uncounted_name(self, root: int, heap: int) -> str | None:
        """The first name below the child that the root has behind its last one, where that is a name of this group.

        Older versions of HDF5 leave there what another group's node had, which is no name here, or one that counts.
        """
        number, first, step = self._entries(root)
        place = first + number * step
        while not self._is(LEAF, place):
            if self.base + place + self.length + self.address > len(self.content):
                return None
            place = self._number(place + self.length, self.address)
            if self._is(NODE, place):
                place = self._entries(place)[1]
            elif not self._is(LEAF, place):
                return None
        offset = self._number(place + 8, self.address)
        names = self._number(heap + 8 + 2 * self.length, self.address)
        if not 0 < offset < self._number(heap + 8, self.length) or self._number(names + offset - 1, 1):
            return None
        start = self.base + names + offset
        return self.content[start : self.content.find(b"\0", start)].decode(errors="surrogateescape") or None
