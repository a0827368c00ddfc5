"""Groups of HDF5's older format, held against what the file keeps of them twice, since nothing there has a checksum.

Such a group is a tree whose leaves list names in order (https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html,
"Disk Format: Level 1A1" and "Level 1B"). A leaf or a node that says that it has fewer entries than were written is read
without a word by HDF5. But a tree keeps, beside each leaf, the last name in it, and a shortened node still has the
address of what it no longer counts. Newer groups have checksums, which HDF5 checks.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from lib.errors import DataError

MESSAGE, CONTINUATION = 0x11, 0x10  # of an object header: where a group's tree is, and where the header goes on
LEAF, NODE = b"SNOD", b"TREE"


def refuse_shortened(path: Path, group: h5py.Group) -> None:
    """Look for entries of ``group`` that are in the file and that its tree no longer counts.

    Raises:
        DataError: there are some, or the tree cannot be followed.
    """
    sizes = group.file.id.get_create_plist().get_sizes()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        tree = _Tree(content, group.file.userblock_size, *sizes)
        try:
            whole = tree.is_whole(h5py.h5o.get_info(group.id).addr)
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

    def is_whole(self, header: int) -> bool:
        """Whether the group whose object header is at ``header`` is of the newer format, or counts all its entries."""
        root = next(self._roots(header), None)
        if root is None:
            return True
        counted: set[int] = set()
        return self._last_name(root, counted) is not None and not self._uncounted(root, counted)

    def _number(self, place: int, size: int) -> int:
        place += self.base
        if not 0 <= place <= len(self.content) - size:
            raise IndexError(place)
        return int.from_bytes(self.content[place : place + size], "little")

    def _is(self, what: bytes, place: int) -> bool:
        return self.content[self.base + place : self.base + place + len(what)] == what

    def _roots(self, header: int) -> Iterator[int]:
        """The address of the group's tree, if it has one of the older format."""
        if self._number(header, 1) != 1:  # a newer header begins with letters
            return
        blocks = [(header + 16, self._number(header + 8, 4))]
        for start, size in blocks:
            place = start
            while place + 8 <= start + size:
                kind, bytes_of_it = self._number(place, 2), self._number(place + 2, 2)
                if kind == MESSAGE:
                    yield self._number(place + 8, self.address)
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

    def _uncounted(self, root: int, counted: set[int]) -> bool:
        """Whether the root has, behind its last child, the address of another that nobody counts."""
        number, first, step = self._entries(root)
        last = first + number * step + self.length
        if self.base + last + self.address > len(self.content):
            return False
        child = self._number(last, self.address)
        return child not in counted and (self._is(LEAF, child) or self._is(NODE, child))
