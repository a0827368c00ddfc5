"""Files that appear whole or not at all: written to a temporary file in the same folder, which is renamed at the end.

What was there before stays until then, whatever happens: a full disk, a read-only folder, a killed process.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
OF_ITS_PLACE = {errno.ENOTDIR, errno.EEXIST}  # of a folder: a file is there
PART = ".part-"  # begins the names of files and folders that are being written
OTHER_CACHE = "set DENOISING_CACHE to another folder"


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """Where to write what is to become ``path``: a hidden file in the same folder, which is made, with the same suffix.

    Raises:
        OSError: it cannot be written; ``path`` is as it was.
    """
    place = Path(os.path.realpath(path))  # a link stays a link
    part = place.with_name(f"{PART}{os.getpid()}-{place.name}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, place)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        if part.exists():
            part.unlink()


@contextmanager
def whole_files(folder: Path | str) -> Iterator[Path]:
    """A hidden folder inside ``folder``, which is made; what is written to it is moved up when all of it is finished.

    Raises:
        OSError: something cannot be written; ``folder`` has no file that is not whole.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=PART, dir=folder))
    except OSError as error:
        raise not_written(folder, error) from error
    try:
        yield part
        for path in sorted(part.rglob("*")):
            target = Path(folder) / path.relative_to(part)
            if path.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                os.replace(path, target)
    except OSError as error:
        raise not_written(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_text(path: Path | str, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``.

    Raises:
        OSError: as `whole_file`.
    """
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Name ``path`` in errors of the disk inside: the system's own name no file when an open one cannot grow."""
    try:
        yield
    except OSError as error:
        raise (not_written(path, error) if error.errno in OF_THE_DISK else error) from error


@contextmanager
def in_cache() -> Iterator[None]:
    """Say of errors of the system that name a file of the cache, or a folder in which none can be made, that it is the
    cache's, and what to do.

    Raises:
        OSError: the cache cannot be read or written; one of any other file is as it was.
    """
    try:
        yield
    except OSError as error:
        above = error.errno == errno.ENOENT and error.filename and _cache().is_relative_to(error.filename)
        if not above and (error.errno not in OF_THE_DISK | OF_ITS_PLACE or not _is_in_cache(error.filename)):
            raise
        raise OSError(
            f"{_cache()}: this place for converted data and runs, the cache, cannot be used ({error.filename}: "
            f"{error.strerror}); change its permissions, or {OTHER_CACHE}"
        ) from error


def _cache() -> Path:
    """`paths.CACHE`, looked up late: it refuses an empty DENOISING_CACHE, which is to be an error of the command."""
    from lib.paths import CACHE

    return CACHE


def _is_in_cache(path: Path | str | None) -> bool:
    return path is not None and Path(path).resolve().is_relative_to(_cache().resolve())


def not_written(path: Path | str, error: BaseException) -> OSError:
    """One line that says that ``path`` cannot be written, why, and what to do.

    Args:
        path: that was asked for.
        error: of the system, or of a library that hides the system's in its own (`torch.save`, safetensors).
    """
    told = " ".join(str(getattr(error, "strerror", None) or error).split())
    if "cannot be written" in told:
        return OSError(told)
    elsewhere = OTHER_CACHE if _is_in_cache(path) else "name another place"
    return OSError(f"{path}: it cannot be written ({told}); free some space there, or {elsewhere}")
