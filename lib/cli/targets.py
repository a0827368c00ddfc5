"""Where a command may write: nothing of the user's is replaced, and a target that cannot be written is refused at once.

Each check looks before the work begins, so that no hour of training ends at a wrong path.
"""

import os
import tempfile
from pathlib import Path

FORCE = "name another place, or add --force to replace it"


def check_folder(option: str, folder: Path, given: Path | None = None) -> None:
    """Refuse a folder in which no file can be written; it need not exist yet, and is not made here.

    Args:
        option: for the message.
        folder: to be written to.
        given: what the user named, where that is a file or folder inside.

    Raises:
        ValueError: ``folder`` or the nearest existing folder above it is a file or cannot be written.
    """
    above, given = folder.absolute(), given or folder
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir():
        raise ValueError(f"{option} {given}: {above} is not a folder; name a folder that can be written")
    try:
        with tempfile.NamedTemporaryFile(dir=above, prefix=".denoising-"):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{option} {given}: {above} cannot be written ({reason}); name another folder") from error


def check_file(option: str, path: Path, force: bool = False) -> None:
    """Refuse a file that exists, unless ``force``, and one that cannot be written.

    Args:
        option: that names it, for the message.
        path: to be written.
        force: given by the user, or known from the file: it is an earlier answer of the same command.

    Raises:
        ValueError: ``path`` exists, is no plain file, or its folder cannot be written.
    """
    if os.path.lexists(path):
        if not path.is_file():
            raise ValueError(f"{option} {path}: it exists and is no plain file; name another file")
        if not force:
            raise ValueError(f"{option} {path}: it exists already; {FORCE}")
    check_folder(option, path.parent, path)


def check_store(path: Path, force: bool = False) -> None:
    """Refuse a path for a new store where anything else stands, and where a store stands unless ``force``.

    Raises:
        ValueError: ``path`` exists and is not a store, or is one and ``force`` is not given.
    """
    from lib.data.store_header import is_store

    if os.path.lexists(path):
        if not is_store(path):
            raise ValueError(
                f"STORE {path}: it exists and is not a conformation store, so it is not replaced; "
                "name a folder that does not exist yet"
            )
        if not force:
            raise ValueError(f"STORE {path}: a conformation store is there already; {FORCE}")
    check_folder("STORE", path.parent, path)


def check_weights(path: Path, run: str, force: bool = False) -> None:
    """Refuse a path for a new weights file that none is read from, where anything else stands, and where the weights of
    another run than ``run`` stand unless ``force``.

    Raises:
        ValueError: ``path`` has another suffix, exists and is no weights file, or is one and ``force`` is not given.
    """
    from lib.errors import DataError
    from lib.models.weights import SUFFIX, load_weights

    if path.suffix != SUFFIX:
        raise ValueError(f"FILE {path}: weights are read from {SUFFIX} files only; name it {path.stem}{SUFFIX}")
    if path.is_file():
        try:
            held = load_weights(path).about.get("run")
        except (DataError, OSError) as error:
            raise ValueError(
                f"FILE {path}: it exists and is no weights file, so it is not replaced; name another file"
            ) from error
        force = force or held == run
    check_file("FILE", path, force)
