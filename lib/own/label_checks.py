"""Labels and molecules that contradict one another: two references, equal frames, pieces, atoms in another order."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform

from lib.chemistry.bonds import BONDED, BROKEN, bond_lengths
from lib.data.store import ConformationStore
from lib.own.duplicates import described, first_equal
from lib.own.findings import ERROR, FRAMES, WARNING, Array, Checks, Numbers, by_frame, frame_list, frame_numbers

GAP, WIDEST = 8.0, 200.0  # between two references: times the wider group's range, and kcal/mol, at least
GROUP = 2  # frames of the smaller group at least: one alone is an outlier
CONTRADICTION = 1.0  # kcal/mol: energies of equal geometries (to 2 mÅ) are nearer
ROUNDS = 8  # of telling atoms apart by their neighbours


def two_references(energy: Array, numbers: Numbers) -> tuple[str, str] | None:
    """Two groups of energies far apart for what lies in each: total energies and atomization energies, or two methods.

    Args:
        energy: (M,) kcal/mol of one molecule.
        numbers: (M,) of the frames in the file.
    """
    if len(energy) < 2 * GROUP:
        return None
    order = np.argsort(energy)
    gaps = np.diff(energy[order])
    cut = int(gaps.argmax()) + 1
    low, high = order[:cut], order[cut:]
    widest = max(np.ptp(energy[low]), np.ptp(energy[high]))
    fewer = min(low, high, key=len)
    if len(fewer) < GROUP or gaps[cut - 1] < max(WIDEST, GAP * widest):
        return None
    return ERROR, (
        f"energies of {frame_list(numbers[np.sort(fewer)])} ({len(fewer)} of {len(energy)}) lie "
        f"{gaps[cut - 1]:.4g} kcal/mol from the others: two references seem to be mixed, as total and "
        "atomization energies or two methods; bring all frames to one"
    )


def contradictions(first: Numbers, energy: Array, numbers: Numbers) -> Checks:
    """Equal geometries with unequal energies.

    Args:
        first: (M,) of each frame the first one equal to it (`duplicates.first_equal`).
        energy: (M,) kcal/mol.
        numbers: (M,) of the frames in the file.
    """
    off = np.abs(energy - energy[first])
    odd = np.flatnonzero(off > CONTRADICTION)
    if not len(odd):
        return []
    worst = odd[off[odd].argmax()]
    return [
        (
            ERROR,
            f"{len(odd)} frames repeat earlier ones with another energy, frame {numbers[worst]} that of frame "
            f"{numbers[first[worst]]} by {off[worst]:.4g} kcal/mol: one of the labels is wrong",
        )
    ]


def fragments(x: Array, z: Numbers, charges: Numbers, numbers: Numbers) -> Checks:
    """Pieces with odd electrons, of a molecule that is whole in other frames or would be closed-shell as a whole.

    Args:
        x: (M, N, 3) Å; ``z`` and ``charges`` (N,).
        z: atomic numbers.
        charges: formal charges.
        numbers: (M,) of the frames in the file.
    """
    if len(z) < 2 or (z.sum() - charges.sum()) % 2:
        return []
    looked = np.linspace(0, len(x) - 1, min(FRAMES, len(x))).round().astype(int)
    reach = BROKEN * bond_lengths(z)
    broken = [k for k in looked if _has_radicals(squareform(pdist(x[k])) < reach, z - charges)]
    if not broken:
        return []
    return [
        (
            WARNING,
            f"the molecule is in pieces with odd electrons in {frame_list(numbers[broken])} ({len(broken)} "
            f"of {len(looked)} that were looked at): if its box cut it, put it together; if bonds break "
            "there, expect little of a potential without spin",
        )
    ]


def _has_radicals(bonded: np.ndarray, electrons: Numbers) -> bool:
    """Whether a piece of the molecule (``bonded`` (N, N)) has an odd number of ``electrons`` (N,)."""
    count, piece = connected_components(bonded, directed=False)
    return count > 1 and bool((np.bincount(piece, weights=electrons).astype(int) % 2).any())


def other_orders(store: ConformationStore) -> Checks:
    """Molecules of the same atoms and bonds whose atoms stand in another order, which count as two molecules.

    Their frames are matched: one that occurs in two orders is counted, and an error where its energies differ.
    """
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    same_formula: dict[bytes, list[int]] = defaultdict(list)
    for k in range(len(store.names)):
        same_formula[np.sort(store.arrays["z"][store.atoms_of(k)]).tobytes()].append(k)
    for members in same_formula.values():
        for k in members if len(members) > 1 else []:
            alike[_signature(store, k)].append(k)
    out: Checks = []
    for members in alike.values():
        orders = {store.arrays["z"][store.atoms_of(k)].tobytes() for k in members}
        if len(orders) > 1:
            names = ", ".join(store.names[k] for k in members[:5])
            repeated, wrong = _matched(store, members)
            shared = f"; {repeated} of their frames are in two orders, and training and test may share them"
            out.append(
                (
                    WARNING,
                    f"{names} have the same atoms and bonds in another order, and count as {len(members)} "
                    f"molecules: write their atoms in one order if they are one{shared if repeated else ''}",
                )
            )
            out += wrong
    return out


def _matched(store: ConformationStore, members: Sequence[int]) -> tuple[int, Checks]:
    """How many frames of ``members`` occur in the order of another one too, and those whose energies contradict it."""
    rows, energies, owners, numbers = [], [], [], []
    for k in members:
        index, z = store.conformations_of(k), np.asarray(store.arrays["z"][store.atoms_of(k)])
        rows.append(described(by_frame(store.gather(index).positions, len(index)), z))
        energies.append(store.energy(index))
        owners.append(np.full(len(index), k))
        numbers.append(frame_numbers(store, index))
    energy, owner, number = (np.concatenate(each) for each in (energies, owners, numbers))
    first = first_equal(np.concatenate(rows))
    crossing = np.flatnonzero(owner != owner[first])
    at_home = np.where(owner == owner[first], np.arange(len(first)), first)  # within one order they were looked at
    return len(crossing), contradictions(at_home, energy, number)


def _signature(store: ConformationStore, molecule: int) -> tuple[int, ...]:
    """The same for molecules with the same elements and bonds (in the first frame), however their atoms are numbered.

    Atoms are told apart by their neighbours, their neighbours' neighbours and so on (Weisfeiler and Leman).
    """
    index = store.conformations_of(molecule)[:1]
    z = np.asarray(store.arrays["z"][store.atoms_of(molecule)]).astype(int)
    x = by_frame(store.gather(index).positions, 1)[0]
    bonded = squareform(pdist(x)) < BONDED * bond_lengths(z)
    np.fill_diagonal(bonded, False)
    colours = [hash((int(each),)) for each in z]
    for _ in range(min(ROUNDS, len(z))):
        colours = [hash((c, *sorted(colours[b] for b in np.flatnonzero(bonded[a])))) for a, c in enumerate(colours)]
    return tuple(sorted(colours))
