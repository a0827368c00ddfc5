"""Findings of an examination in words, from its table (`soundness.table`) and that of an ensemble's spread."""

import pandas as pd

from lib.report import prose
from lib.report.soundness import EXTREMA, HOLDS, HOLES, LAW, LONG, WALL

SINGLE, DOUBLE = "float32", "float64"


def figures(value: float) -> str:
    """``value`` with two digits or, from ten on, without decimals."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"


def largest(rows: pd.DataFrame, settings: str, law: str, precision: str = SINGLE) -> str:
    """From the smallest to the largest of the models' numbers of one ``law``, or the one where they are equal."""
    values = prose.select(rows, test=LAW, settings=settings, subject=law, precision=precision)["value"]
    low, high = figures(values.min()), figures(values.max())
    return low if low == high else f"{low} to {high}"


def copies(rows: pd.DataFrame, settings: str) -> str:
    """What the energy of copies is off by, and a force where a second molecule is far away."""
    energy, force = (largest(rows, settings, law) for law in ("energy of copies", "a molecule 50 Å away"))
    return f"{energy} meV (a force by {force} meV/Å where a second molecule is 50 Å away)"


def worst(rows: pd.DataFrame, settings: str, precision: str) -> str:
    """The largest number of any law and model, in its unit's figures."""
    return f"{prose.select(rows, test=LAW, settings=settings, precision=precision)['value'].max():.1g}"


def holes(rows: pd.DataFrame, settings: str, pairs: int = 6) -> str:
    """How many of all models' ``pairs`` have a hole, and which where they are few."""
    own = prose.select(rows, test=HOLES, settings=settings)
    count, all_of_them = int(own["value"].sum()), pairs * len(own)
    few = [f"{row['model']} {row['subject']}" for _, row in own.iterrows() if row["value"]]
    return f"{count} of {all_of_them} pairs" + (f" ({prose.names(few)})" if 0 < count < pairs else "")


def wall(rows: pd.DataFrame, settings: str) -> str:
    """The lowest energy (eV) of any model and pair at 0.3 Å."""
    return figures(prose.select(rows, test=WALL, settings=settings)["value"].min())


def wavy(rows: pd.DataFrame, settings: str) -> str:
    """How many stretched bonds have more than one extremum, and from where to where they are pulled back."""
    own = prose.select(rows, test=EXTREMA, settings=settings)
    holds = prose.select(rows, test=HOLDS, settings=settings)["value"]
    return (
        f"{int((own['value'] > 1).sum())} of {len(own)} (pulled back to {holds.min():.2g} to {holds.max():.2g} times)"
    )


def broken(rows: pd.DataFrame, settings: str) -> str:
    """The trajectories that ended early, each with when."""
    lasting = rows[(rows["test"] == "lasts") & (rows["subject"] != LONG)]
    own = lasting[(lasting["settings"] == settings) & (lasting["value"] < 0.999 * lasting["value"].max())]
    count = int((lasting["settings"] == settings).sum())
    texts = [f"{row.model}, {row.subject}, after {row.value:.2g} ps" for row in own.itertuples()]
    return f"{len(own)} of {count}" + (f" ({'; '.join(texts)})" if texts else "")


def drifts(rows: pd.DataFrame, settings: str) -> str:
    """How far each trajectory at constant energy drifted, over the kinetic fluctuation, and in what time."""
    own = prose.select(rows, test="drifted over kinetic fluctuation", settings=settings)
    time = prose.select(rows, test="lasts", settings=settings).set_index(["model", "subject"])["value"]
    texts = [f"{r.model} {r.value:.2g} in {time[r.model, r.subject]:.3g} ps" for r in own.itertuples()]
    return "; ".join(texts) or "no such trajectory is here"


def spread(coverage: pd.DataFrame) -> str:
    """The share of errors within one spread before and after the factor, beside what it should be, where it was not
    fitted (`calibration.before_and_after`).
    """
    texts = []
    for conformations in ("known molecules", "unknown molecules"):
        for kind in ("energy", "force"):
            rows = prose.select(coverage, conformations=conformations, kind=kind).set_index("factor")
            before, after = (f"{100 * rows.loc[when, 'within 1 spread']:.0f}" for when in ("before", "after"))
            texts.append(f"{before} → {after} % of {kind} errors of {conformations}")
    due = coverage["calibrated: 1"].iloc[0]
    return f"within one of it, before → after the factor, {'; '.join(texts)}; due are {100 * due:.0f} %"


def unfamiliarity(deformed: pd.DataFrame) -> str:
    """How unfamiliar the largest deformation of each kind is, and how far off the energy (`examination.unfamiliar`)."""
    zero = prose.select(deformed, times=1.0)["off"].iloc[0]
    last = deformed[deformed["times"] == deformed["times"].max()]
    texts = [
        f"{row.what} at {row.times:g} times its size {figures(row.unfamiliarity)}, its energy off by "
        f"{figures(row.off - zero)} eV"
        for row in last.itertuples()
    ]
    return "; ".join(texts)
