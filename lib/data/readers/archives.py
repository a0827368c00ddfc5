"""Archives, ``.tar.gz``: unpacked whole and checked to the last byte, or not at all."""

import gzip
import os
import tarfile
import tempfile
import zlib
from pathlib import Path

from lib.data.readers.checks import COPY_AGAIN, refuse_empty
from lib.errors import DataError

PIECE = 1 << 20  # bytes


def unpack(archive: Path, folder: Path) -> None:
    """Unpack ``archive`` into ``folder``; files that are there already are replaced one by one.

    It is unpacked beside first, and read to its end, where gzip keeps the checksum.

    Raises:
        DataError: it is broken, a member would land outside ``folder``, or a member is neither file nor folder.
    """
    refuse_empty(archive)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder) as part:
        try:
            with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as opened:
                for member in opened:
                    if not (member.isfile() or member.isdir()):
                        raise DataError(
                            archive,
                            member.name,
                            "it cannot be unpacked: it is neither file nor folder",
                            "leave it out of the archive",
                        )
                    opened.extract(member, part, filter="data")
                stream.seek(opened.offset)
                while piece := stream.read(PIECE):  # to the checksum
                    if piece.strip(b"\0"):
                        raise DataError(archive, "", "it cannot be unpacked: a member has a broken header", COPY_AGAIN)
        except DataError:
            raise
        except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError, OverflowError, RecursionError) as error:
            raise DataError(archive, "", f"it cannot be unpacked ({error})", COPY_AGAIN) from error
        _move(Path(part), folder)


def _move(part: Path, folder: Path) -> None:
    """Move everything in ``part`` into ``folder``, into folders of the same name where there are such."""
    for path in sorted(part.rglob("*")):
        target = folder / path.relative_to(part)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            os.replace(path, target)
