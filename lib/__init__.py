"""Denoising pre-training on nonequilibrium molecules for neural potentials: a companion to the paper.

Wang, Xu, Li, Barati Farimani 2023, https://doi.org/10.1021/acs.jctc.3c00289. The rooms, from the core outwards; each
imports only what stands above it::

    units, errors, files, paths, machine
    chemistry    atom types, formal charges, reference energies, bonds, normal modes, GFN2-xTB
    noising      Gaussian noise on coordinates, and its rigid part         X̂ = X + ε, ε ~ N(0, σ²)
    batches      molecules laid end to end, with their neighbour pairs
    models       one file a model, in the order of its own paper's formulas; forces, weights
    training     the two tasks (equation 7; energies and forces), one loop, settings, scaling of the target
    ──────────── above: the method. Below: what it takes to check the paper with it.
    data         readers (one file a format), the store, splits, loading, the data sets, downloads
    runs         RunConfig -> Result: a run is stored, or recorded, under the hash of its settings and data
    study        the paper's matrix: scales, cells, arms, learning rates, cost; trials, questions beyond it
    potentials   a trained potential: ensemble, ASE calculator, dynamics, calibration
    report       statistics, tables, rules, claims; figures
    own          a user's own molecules: checks, fine-tuning, the learning curve
    campaign     all runs of a scale, and how the batch deals them out
    mini_suite, bench, cli      how the data in the box are made; speed; the command line

The data path in one line::

    official file -> READERS -> Molecule -> ConformationStore -> Split -> Batch -> MODELS -> Prediction -> task
                  -> Result -> table, figure, claim

Inside, lengths are Å and energies kcal/mol (`units`); atoms are one of the 28 types of `chemistry.atom_types`; the
energies of free atoms belong to a level of theory (`chemistry.reference_energies`). Importing the package does nothing;
``from lib import load_pretrained`` loads what that function needs (`lib.own.pretrained`).
"""

from typing import Any

LAZY = {"load_pretrained": "lib.own.pretrained"}  # names of the package, imported from these modules when asked for


def __getattr__(name: str) -> Any:
    """The names of `LAZY`: https://peps.python.org/pep-0562/."""
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}: choose from {sorted(LAZY)}")
    from importlib import import_module

    return getattr(import_module(LAZY[name]), name)


def __dir__() -> list[str]:
    """For completion: what is there, and the names of `LAZY`."""
    return sorted([*globals(), *LAZY])
