"""Inspection of a user's conformations: lengths, overlaps, electrons, duplicates, energies and forces."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from lib.chemistry.atom_types import CLOSEST
from lib.chemistry.bonds import bond_lengths
from lib.data.store import ConformationStore
from lib.own.duplicates import described, first_alike, first_equal
from lib.own.energies_and_forces import ENOUGH, FACTORS, GAP, agreement_of, judged
from lib.own.findings import (
    ALIKE,
    ALL,
    ERROR,
    FRAMES,
    SAME,
    WARNING,
    Array,
    Checks,
    Finding,
    Numbers,
    by_frame,
    frame_list,
    frame_numbers,
)
from lib.own.force_checks import check_forces
from lib.own.label_checks import contradictions, fragments, other_orders, two_references

BONDS = (0.75, 1.5)  # times the sum of covalent radii, where the median distance to an atom's nearest may lie
SPREAD = (0.06, 6.0)  # kcal/mol: energies' standard deviation over sqrt(3N - 6); 0.4 per mode at 300 K, 2 at 1500 K
FEW = 20  # frames: fewer teach hardly anything
FAR = 12.0  # times the median absolute deviation
FAR_OF_FEW = 100.0  # kcal/mol: an outlier of fewer than `FEW` energies, which may be a scan, is farther off too
ALIKE_ENOUGH = 1.1  # largest over smallest of energies in one unit, of one molecule, far from zero
THOROUGH = 30  # molecules of a store, in which a simple model is fitted to forces
MOLECULES = 30  # of a store, in which forces are looked at


def inspect_store(store: ConformationStore, labelled: bool = True, trained: bool = True) -> list[Finding]:
    """What is wrong or odd in ``store``: errors first, then what concerns all molecules; an empty list if nothing is.

    Args:
        store: of conformations.
        labelled: whether labels are looked at too, or the geometries alone. Forces are held against the energies once
            no molecule has an error of its own.
        trained: whether the conformations are to be learnt from, of which there must be enough.
    """
    findings = [Finding(WARNING, name, note) for name, note in store.notes]
    thorough = set(np.linspace(0, len(store.names) - 1, min(THOROUGH, len(store.names))).round().astype(int).tolist())
    bonds = []
    for k, name in enumerate(store.names):
        index = store.conformations_of(k)
        x, z = by_frame(store.gather(index).positions, len(index)), np.asarray(store.arrays["z"][store.atoms_of(k)])
        bonds.append(_nearest(x[:FRAMES], z))
        checks = _of_molecule(store, k, x, z, labelled, thorough=k in thorough)
        findings += [Finding(severity, name, text) for severity, text in checks]
    whole = _lengths(np.array(bonds), store.n_atoms)
    if labelled:
        whole += [*(_numbers(store) if trained else []), *other_orders(store), *_units_of_molecules(store)]
        whole += [] if any(finding.severity == ERROR for finding in findings) else _forces(store)
    findings += [Finding(severity, ALL, text) for severity, text in whole]
    return sorted(findings, key=lambda f: (f.severity != ERROR, f.molecule != ALL))


def _of_molecule(
    store: ConformationStore, molecule: int, x: Array, z: Numbers, labelled: bool, thorough: bool
) -> Checks:
    """What is wrong or odd in one molecule's frames ``x`` (M, N, 3) Å of atoms ``z`` (N,)."""
    index = store.conformations_of(molecule)
    numbers = frame_numbers(store, index)
    charges = np.asarray(store.arrays["charges"][store.atoms_of(molecule)], dtype=int)
    rows = described(x, z) if len(z) > 1 else np.zeros((len(x), 3))
    checks = [*_overlaps(x, numbers), *fragments(x, z.astype(int), charges, numbers)]
    if not labelled:
        return [*checks, *(_duplicates(first_alike(rows), numbers) if len(z) > 1 else [])]
    energy = store.energy(index)
    wrong = contradictions(first_equal(rows), energy, numbers)
    checks += wrong or _duplicates(first_alike(rows), numbers)
    checks += [*_electrons(z, charges), *_energies(energy, x.shape[1], numbers)]
    if store.has_forces:
        checks += check_forces(x, by_frame(store.gather_forces(index), len(index)), numbers, thorough)
    return checks


def _numbers(store: ConformationStore) -> Checks:
    """Too few frames to learn from."""
    total, single = len(store), int((store.n_conformations < 3).sum())
    if total < 3:
        return [(ERROR, f"{total} frame{'s' * (total > 1)}: nothing can be learnt and tested; give at least {FEW}")]
    out = [(WARNING, f"{total} frames only: expect little, and wide error bars")] if total < FEW else []
    if single and len(store.names) > 1:
        out.append(
            (
                WARNING,
                f"{single} of {len(store.names)} molecules have one or two frames: whether they are in "
                "training or in test is drawn by lot",
            )
        )
    return out


def _nearest(x: Array, z: NDArray[np.integer]) -> float:
    """Median distance of atoms to their nearest neighbour, in sums of covalent radii; NaN for an atom alone.

    Args:
        x: (M, N, 3) Å.
        z: (N,) atomic numbers.
    """
    if len(z) < 2:
        return np.nan
    i, j = np.triu_indices(len(z), 1)
    reach = bond_lengths(z)[i, j]
    nearest = []
    for frame in x:
        square = np.full((len(z), len(z)), np.inf)
        square[i, j] = square[j, i] = pdist(frame) / reach
        nearest.append(square.min(0))
    return float(np.median(nearest))


def _lengths(bonds: Array, atoms: NDArray[np.integer]) -> Checks:
    """Lengths in another unit, from `_nearest` of each molecule; ions and atoms in pairs prove nothing."""
    bonded = bonds[(atoms > 2) & ~np.isnan(bonds)]
    some = bonded if len(bonded) else bonds[~np.isnan(bonds)]
    if not len(some) or BONDS[0] < np.median(some) < BONDS[1]:
        return []
    text = (
        f"atoms are typically {np.median(some):.2f} times the sum of covalent radii from their nearest neighbour: "
        "the length unit seems to be another one; name it with length_unit (--length-unit, of what pre-trains "
        "--pretrain-length-unit), angstrom or bohr"
    )
    return [(ERROR if len(bonded) else WARNING, text)]


def _overlaps(x: Array, numbers: Numbers) -> Checks:
    """Atoms on top of one another; ``x`` (M, N, 3) Å, ``numbers`` (M,) of the frames in the file."""
    if x.shape[1] < 2:
        return []
    close = [k for k, frame in enumerate(x) if pdist(frame).min() < CLOSEST]
    return [(ERROR, f"atoms closer than {CLOSEST} Å in {frame_list(numbers[close])}: remove them")] if close else []


def _electrons(z: Numbers, charges: Numbers) -> Checks:
    """An odd number of electrons, of which the models know nothing."""
    count = int(np.sum(z) - np.sum(charges))
    if count % 2 == 0 or len(z) == 1:  # atoms alone are references
        return []
    return [
        (
            WARNING,
            f"{count} electrons, an odd number: a radical, or a charge that is not given (array "
            "'formal_charges'); the models know no spin",
        )
    ]


def _duplicates(first: Numbers, numbers: Numbers) -> Checks:
    """Frames that occur again, however turned: on both sides of a split they flatter the test.

    ``first`` (M,) is of each the first one like it (`duplicates.first_alike`).
    """
    again = np.flatnonzero(first != np.arange(len(first)))
    if not len(again):
        return []
    where = f"most often {np.bincount(first).max()} times ({frame_list(numbers[again])})"
    return [
        (WARNING, f"{len(again)} frames repeat earlier ones, {where}: training and test may share them; remove them")
    ]


def _energies(energy: Array, atoms: int, numbers: Numbers) -> Checks:
    """Several units in one molecule, another unit in all, outliers; ``energy`` (M,) kcal/mol."""
    if len(energy) < 3 or atoms < 2:
        return []
    if mixed := _mixed(energy, numbers) or two_references(energy, numbers):
        return [mixed]
    middle = float(np.median(energy))
    deviation = np.abs(energy - middle)
    typical = float(np.median(deviation))
    modes = np.sqrt(max(3 * atoms - 6, 1))
    out, spread = [], 1.4826 * typical / modes
    if not np.ptp(energy) > SAME * abs(middle):
        return [(ERROR, "all energies are the same: is energy_key (--energy-key) the right one?")]
    if atoms > 2 and len(energy) >= FEW and not SPREAD[0] < spread < SPREAD[1]:  # ions; scans
        likely = [n for n, f in FACTORS.items() for r in (f, 1 / f) if 0.2 < spread * r < 3.0]
        hint = f"; they may be off by the factor between {' or '.join(likely)}" if likely else ""
        usual = f"unusual for {atoms} atoms in thermal motion (some {0.4 * modes:.1f} to {2 * modes:.0f})"
        out.append((WARNING, f"energies vary by {1.4826 * typical:.3g} kcal/mol, {usual}: is the unit right{hint}?"))
    far = max(FAR * typical, 1e-9, 0.0 if len(energy) >= FEW else FAR_OF_FEW)
    outliers = np.flatnonzero(deviation > far)
    if len(outliers):
        where = f"{frame_list(numbers[outliers])}; the farthest by {deviation.max():.1f} kcal/mol"
        out.append(
            (
                WARNING,
                f"{len(outliers)} energies are more than {FAR:g} median deviations from the median "
                f"({where}): look at them",
            )
        )
    return out


def _mixed(energy: Array, numbers: Numbers) -> tuple[str, str] | None:
    """Two groups of frames whose energies differ by a ratio of units; ``energy`` (M,)."""
    order = np.argsort(np.abs(energy))
    size = np.abs(energy[order])
    if not size[0] > 0:
        return None
    cut = int(np.argmax(size[1:] / size[:-1])) + 1
    low, high = size[:cut], size[cut:]
    if max(low[-1] / low[0], high[-1] / high[0]) > ALIKE_ENOUGH:
        return None  # energies about zero vary by any ratio
    ratio = float(np.median(high) / np.median(low))
    for name, factor in FACTORS.items():
        if abs(ratio / factor - 1) < ALIKE:
            fewer = frame_list(numbers[np.sort(order[cut:] if len(high) <= len(low) else order[:cut])])
            way = ratio if len(high) <= len(low) else 1 / ratio
            return ERROR, (
                f"energies of {fewer} are {way:.4g} times the others: {name} seem to be mixed; "
                "bring all frames to one unit"
            )
    return None


def _units_of_molecules(store: ConformationStore) -> Checks:
    """Molecules in different units: energies an atom, or over Σ Z^2.4 (all electrons), that lie far apart."""
    chosen = np.flatnonzero(store.n_atoms > 1)
    if len(chosen) < 2:
        return []
    energy = np.abs([np.median(store.energy(store.conformations_of(k))) for k in chosen.tolist()])
    if not energy.min() > 0:
        return []
    electrons = np.add.reduceat(np.asarray(store.arrays["z"]).astype(float) ** 2.4, store.first_atom)[chosen]
    gaps = []
    for size in (store.n_atoms[chosen], electrons):
        order = np.argsort(energy / size)
        steps = (energy / size)[order][1:] / (energy / size)[order][:-1]
        gaps.append((float(steps.max()), order, int(steps.argmax()) + 1))
    gap, order, cut = min(gaps, key=lambda each: each[0])
    if gap < GAP:
        return []
    fewer = order[:cut] if cut <= len(order) - cut else order[cut:]
    names = ", ".join(store.names[k] for k in chosen[fewer[:5]])
    return [
        (
            WARNING,
            f"energies an atom of {names} are {gap:.0f} times apart from the others: are all molecules in "
            "one unit and at one level of theory?",
        )
    ]


def _forces(store: ConformationStore) -> Checks:
    """Forces held against energies, in some molecules: units are those of the whole file."""
    if not store.has_forces:
        return []
    some = np.linspace(0, len(store.names) - 1, min(MOLECULES, len(store.names))).round().astype(int)
    slopes = [(*agreement_of(store, store.conformations_of(k)), store.n_atoms[k]) for k in some if store.n_atoms[k] > 1]
    similar = [rest for pairs, *rest in slopes if pairs >= ENOUGH]
    if similar:
        return judged(*np.nanmedian(similar, axis=0))
    index = store.conformations_of(int(some[0]))[:FRAMES]
    size = float(np.sqrt(np.square(store.gather_forces(index), dtype=float).mean()))
    return [
        (
            WARNING,
            "no frames are similar enough to hold forces against energies: see yourself that they are no "
            f"gradients and in the energies' unit; those of {store.names[some[0]]} are {size:.3g} "
            "kcal/mol/Å (root mean square), usual are 10 to 100",
        )
    ]
