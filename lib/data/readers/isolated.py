"""Energies of isolated atoms (E0s) that a user gives by hand; those of a file are read by `own.free_atoms`."""

from ase.symbols import symbols2numbers


def energies_by_hand(words: list[str], factor: float) -> dict[str, float]:
    """Energies in kcal/mol by element from ``H=-13.6`` and the like, numbers times ``factor``.

    Raises:
        ValueError: no element, an element twice, or no number.
    """
    energies: dict[str, float] = {}
    for word in words:
        symbol, _, value = word.partition("=")
        try:
            (number,) = symbols2numbers(symbol)
            energy = float(value)
        except (ValueError, KeyError):
            number, energy = 0, float("nan")
        if not number or energy != energy or symbol in energies:
            raise ValueError(f"{word!r} is no energy of an element: give each once, as H=-13.6")
        energies[symbol] = energy * factor
    return dict(sorted(energies.items()))
