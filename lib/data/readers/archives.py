"""Archives, ``.tar.gz``: unpacked whole and checked to the last byte, or not at all."""

import gzip
import tarfile
import zlib
from pathlib import Path

from lib.data.readers.checks import COPY_AGAIN, refuse_empty
from lib.errors import DataError
from lib.files import OF_THE_DISK, whole_files

PIECE = 1 << 20  # bytes


def unpack(archive: Path, folder: Path) -> None:
    """Unpack ``archive`` into ``folder``; files that are there already are replaced one by one.

    It is unpacked beside first, and read to its end, where gzip keeps the checksum.

    Raises:
        DataError: it is broken, a member would land outside ``folder``, or a member is neither file nor folder.
        OSError: ``folder`` cannot be written, or the disk is full.
    """
    refuse_empty(archive)
    with whole_files(folder) as part:
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
        except OSError as error:
            if error.errno in OF_THE_DISK:
                raise
            raise DataError(archive, "", f"it cannot be unpacked ({error})", COPY_AGAIN) from error
        except (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError, RecursionError) as error:
            raise DataError(archive, "", f"it cannot be unpacked ({error})", COPY_AGAIN) from error
