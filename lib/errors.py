"""The error of bad input: one line with the file, the entry in it, what is wrong, and the remedy."""

from pathlib import Path


class DataError(ValueError):
    """Bad input data; ``str()`` is one line that names ``path``, ``entry``, the ``problem`` and the ``remedy``."""

    def __init__(self, path: Path | str, entry: str, problem: str, remedy: str) -> None:
        """``entry`` is the place inside the file, empty where the whole file is meant."""
        where = f"{path}, {entry}" if entry else f"{path}"
        super().__init__(f"{where}: {' '.join(str(problem).split())}; {remedy}")
        self.path, self.entry, self.problem, self.remedy = path, entry, problem, remedy
