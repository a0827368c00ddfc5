"""What is checked beyond the labelled file (`inspection`): held-out files, what pre-trains, the split of a run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lib.chemistry.atom_types import ATOM_TYPES, type_name
from lib.data.datasets import DataSet, open_store
from lib.data.splits import FINE_TUNING, make_split
from lib.data.store import ConformationStore
from lib.own.duplicates import are_among, described
from lib.own.findings import ERROR, WARNING, Finding, by_frame
from lib.own.inspection import inspect_store
from lib.runs.config import RunConfig
from lib.runs.selection import select, splits
from lib.training.scaling import determined

# kcal/mol an atom, of molecules relative to isolated atoms: -120 to -47 in ANI-1 and ANI-1x, -205 to -100 by GFN2-xTB,
# and up to 62 of pairs of ions
BOUND = (-400.0, 80.0)


def refuse_untaught(config: RunConfig) -> None:
    """Stop where validation or test have atom types or compositions of which training says nothing: their energies
    would be arbitrary.

    A level of theory without energies of free atoms leaves them some 1e5 kcal/mol wrong, which would decide the
    learning rate and make the test's mean error.

    Raises:
        ValueError: naming types and molecules, or the molecules alone where their compositions are at fault.
        DataError: the split leaves a part without conformations.
    """
    parts = {part: selections[0] for part, selections in select(config, splits(config)).items()}
    train = parts.pop("train")
    compositions = train.store.compositions[np.unique(train.store.molecule_of(train.index))]
    taught = compositions.any(0)
    for part, selection in parts.items():
        store, own = selection.store, selection.store.molecule_of(selection.index)
        untaught = store.compositions[own].astype(bool) & ~taught
        if untaught.any():
            names = ", ".join(dict.fromkeys(store.names[k] for k in own[untaught.any(1)][:5]))
            types = ", ".join(type_name(t) for t in np.flatnonzero(untaught.any(0)).tolist())
            raise ValueError(
                f"{config.data[0].path}, seed {config.seed}: no training conformation has {types}, which "
                f"{names} of the {part} part have: give more of such molecules, leave them out, take more "
                "labels, or another seed"
            )
        molecules = np.unique(own)
        odd = molecules[~determined(compositions, store.compositions[molecules])]
        if len(odd) and not config.isolated_atoms:
            names = ", ".join(store.names[k] for k in odd[:5])
            raise ValueError(
                f"{config.data[0].path}, seed {config.seed}: {names} of the {part} part have compositions that no "
                "combination of those in training gives, so that their energies would be arbitrary: train on more "
                "compositions, leave them out, or give energies of isolated atoms (--isolated-atoms FILE, --e0)"
            )


def inspect_held_out(data: DataSet, held_out: Iterable[tuple[str, DataSet]]) -> list[Finding]:
    """What is odd in files of validation and test (`RunConfig.held_out`), and what of them is in ``data`` too."""
    out = []
    for part, dataset in held_out:
        out += _of_file(dataset)
        known = are_in_pool(dataset, data)
        if known.any():
            text = (
                f"{known.sum()} of {len(known)} {part} conformations of {dataset.path} are in {data.path} too: errors "
                "will flatter; remove them"
            )
            out.append(Finding(WARNING, "", text))
    return out


def inspect_pool(pool: DataSet, shared: Mapping[int, tuple[int, int]]) -> list[Finding]:
    """What is odd in conformations that pre-train, and by seed how many test conformations are among them, of all."""
    seen = [
        f"{known} of {tested} test conformations of seed {seed} are in {pool.path}, so that pre-training sees them, "
        "without labels: test errors may flatter"
        for seed, (known, tested) in shared.items()
        if known
    ]
    return [*_of_file(pool, labelled=False), *(Finding(WARNING, "", text) for text in seen)]


def inspect_types(data: DataSet, source: RunConfig, name: str) -> list[Finding]:
    """Whether ``data`` has atom types that the pre-training ``source``, called ``name``, has not met."""
    met = np.unique(np.concatenate([np.flatnonzero(open_store(d).compositions.any(0)) for d in source.data]))
    unseen = [type_name(t) for t in np.setdiff1d(np.flatnonzero(open_store(data).compositions.any(0)), met)]
    if not unseen:
        return []
    text = (
        f"the pre-training of {name} has not met {', '.join(unseen)}: the parameters of these atoms are random at "
        "first, and pre-training may help less; compare with training from scratch (source None, --from-scratch)"
    )
    return [Finding(WARNING, "", text)]


def inspect_isolated(data: DataSet, isolated: Mapping[str, float]) -> list[Finding]:
    """Whether energies of ``isolated`` atoms (kcal/mol by element) are of the unit, sign and method of those in
    ``data``: an atom of a molecule at its lowest is then bound by some 100 kcal/mol.
    """
    store = open_store(data)
    molecules = np.flatnonzero(store.n_atoms > 1)
    elements = {ATOM_TYPES[t][0] for t in np.flatnonzero(store.compositions.any(0)).tolist()}
    if not isolated or not elements <= set(isolated) or not len(molecules):
        return []  # where some are missing the run says which
    if zero := sorted(element for element in elements if isolated[element] >= 0 > min(isolated.values())):
        text = f"energies of {', '.join(zero)} are not below zero, and those of others are: give those of the atoms"
        return [Finding(ERROR, "isolated atoms", text)]
    energies = np.array([isolated.get(element, 0.0) for element, _ in ATOM_TYPES])
    lowest = np.array([store.energy(store.conformations_of(k)).min() for k in molecules.tolist()])
    bound = (lowest - store.compositions[molecules] @ energies) / store.n_atoms[molecules]
    typical = float(np.median(bound))
    if BOUND[0] < typical < BOUND[1]:
        return []
    text = (
        f"relative to the isolated atoms molecules have {typical:.4g} kcal/mol an atom, where some -200 to -45 are "
        "usual: are the atoms' energies in the unit of the others, with their sign, and of the same method?"
    )
    return [Finding(ERROR, "isolated atoms", text)]


def _of_file(dataset: DataSet, labelled: bool = True) -> list[Finding]:
    """`inspect_store` of a file beside the labelled one, whose name each finding says."""
    found = inspect_store(open_store(dataset), labelled, trained=False)
    return [replace(finding, molecule=f"{dataset.path}: {finding.molecule}") for finding in found]


def shared_conformations(dataset: DataSet, pool: DataSet, seeds: Sequence[int]) -> list[tuple[int, int]]:
    """How many test conformations of ``dataset`` are among those of ``pool``, and how many there are, by seed."""
    store, known = open_store(dataset), are_in_pool(dataset, pool)
    tests = [make_split(store, seed, FINE_TUNING).parts["test"] for seed in seeds]
    return [(int(known[test].sum()), len(test)) for test in tests]


def are_in_pool(dataset: DataSet, pool: DataSet) -> NDArray[np.bool_]:
    """Which conformations of ``dataset`` are among those of ``pool``, however turned and numbered."""
    store, other = open_store(dataset), open_store(pool)
    pools: dict[bytes, list[int]] = {}
    for k in range(len(other.names)):
        pools.setdefault(_formula(other, k), []).append(k)
    known = np.zeros(len(store), dtype=bool)
    for k in range(len(store.names)):
        if same := pools.get(_formula(store, k)):
            rows = np.concatenate([_described(other, m) for m in same])
            known[store.conformations_of(k)] = are_among(_described(store, k), rows)
    return known


def _formula(store: ConformationStore, molecule: int) -> bytes:
    """The elements of a molecule, ascending."""
    return np.sort(np.asarray(store.arrays["z"][store.atoms_of(molecule)])).tobytes()


def _described(store: ConformationStore, molecule: int) -> NDArray[np.float64]:
    """`duplicates.described` of a molecule's conformations; an atom alone is always the same."""
    index, z = store.conformations_of(molecule), np.asarray(store.arrays["z"][store.atoms_of(molecule)])
    if len(z) < 2:
        return np.zeros((len(index), 3))
    return described(by_frame(store.gather(index).positions, len(index)), z)
