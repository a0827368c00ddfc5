"""The examination of potentials (`potentials.examination`) as one tidy table, and the same for reading.

A row of the table is one number: of a ``model`` with ``settings``, in a ``precision``, of a ``test`` and a ``subject``
(a law, a bond, a trajectory). The reference stands among the models, with no settings.
"""

from collections.abc import Mapping

import pandas as pd

from lib.potentials import examination

COLUMNS = ["model", "settings", "steps", "precision", "test", "subject", "value", "unit"]
WHO = ["model", "settings", "steps"]
LAW, HOLES, EXTREMA, FLIPS, OFF = "law", "pairs with a hole", "extrema", "force flips", "force off"
WALL = "lowest energy at 0.3 Å"  # of the pairs
ERROR, OF_AN_ERROR = "test error (MAE)", {"energy": "kcal/mol", "force": "kcal/mol/angstrom"}
HOLDS = "pulled back to"
OF_A_BOND = {EXTREMA: ("extrema", "1"), FLIPS: ("flips", "1"), HOLDS: ("holds", "1"), OFF: ("off", "eV/angstrom")}
OF_A_TRAJECTORY = {
    "lasts": ("picoseconds", "ps"),
    "longest bond": ("longest", "1"),
    "temperature": ("kelvin", "K"),
    "drift": ("drift", "meV/atom/ps"),
    "kinetic fluctuation": ("kinetic", "meV/atom"),
    "drifted over kinetic fluctuation": ("drifted", "1"),
}
LONG = "constant energy, long"


def table(parts: Mapping[str, pd.DataFrame], errors: pd.DataFrame, atoms: int, reference: str) -> pd.DataFrame:
    """All numbers, with `COLUMNS`.

    Args:
        parts: the rows of ``laws``, ``pairs``, ``stretches``, ``trajectories``, ``long``, each with the columns `WHO`.
        errors: mean absolute errors on test conformations, ``energy`` and ``force``, with `WHO`.
        atoms: of the molecule.
        reference: the model that is the reference.
    """
    rows = [errors[WHO].assign(test=ERROR, subject=kind, value=errors[kind], unit=unit)
            for kind, unit in OF_AN_ERROR.items()]  # fmt: skip
    rows += [parts["laws"].rename(columns={"law": "subject"}).assign(test=LAW)]
    rows += [_of_pairs(own).assign(**who) for who, own in _each(parts["pairs"])]
    rows += [_of_bonds(own, _reference(parts["stretches"], reference)).assign(**who)
             for who, own in _each(parts["stretches"])]  # fmt: skip
    rows += [_of_trajectories(own, atoms).assign(**who) for who, own in _each(parts["trajectories"])]
    longer = [_of_trajectories(own, atoms).assign(subject=LONG, **who) for who, own in _each(parts["long"])]
    whole = pd.concat([*rows, *longer], ignore_index=True)
    return whole.assign(precision=whole["precision"].fillna("float32"))[COLUMNS]


def _each(rows: pd.DataFrame) -> list[tuple[dict[str, object], pd.DataFrame]]:
    """Whose rows they are, and the rows, of each potential."""
    if rows.empty:
        return []
    return [(dict(zip(WHO, who, strict=True)), own) for who, own in rows.groupby(WHO, sort=False, dropna=False)]


def _reference(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    return rows[rows["model"] == name]


def _of_pairs(curves: pd.DataFrame) -> pd.DataFrame:
    holes = examination.holes(curves)
    count = {"test": HOLES, "subject": " ".join(holes), "value": float(len(holes)), "unit": "1"}
    height = {"test": WALL, "subject": "", "value": examination.wall(curves), "unit": "eV"}
    return pd.DataFrame([count, height])


def _of_bonds(rows: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """The numbers of `judge_stretches`; the force is that of one calculator beside the reference's."""
    own, other = rows.assign(calculator="own"), reference.assign(calculator="reference")
    judged = examination.judge_stretches(pd.concat([own, other], ignore_index=True), "reference")
    judged = judged[judged["calculator"] == "own"]
    return pd.DataFrame(
        [
            {"test": test, "subject": row["bond"], "value": float(row[column]), "unit": unit}
            for _, row in judged.iterrows()
            for test, (column, unit) in OF_A_BOND.items()
        ]
    )


def _of_trajectories(rows: pd.DataFrame, atoms: int) -> pd.DataFrame:
    judged = examination.judge_trajectories(rows, atoms)
    return pd.DataFrame(
        [
            {"test": test, "subject": row["replica"], "value": float(row[column]), "unit": unit}
            for _, row in judged.iterrows()
            for test, (column, unit) in OF_A_TRAJECTORY.items()
            if column in row and pd.notna(row[column])
        ]
    )


def of_laws(rows: pd.DataFrame) -> pd.DataFrame:
    """The laws for reading: a column a potential, a row a precision and a law; above them the test errors."""
    laws = rows[rows["test"].isin((LAW, ERROR))]
    what = laws["subject"].where(laws["test"] == LAW, laws["test"] + ", " + laws["subject"])
    named = laws.assign(law=what + " (" + laws["unit"].str.replace("angstrom", "Å") + ")")
    named["precision"] = named["precision"].where(named["test"] == LAW, "")
    order = list(dict.fromkeys(named[["precision", "law"]].itertuples(index=False, name=None)))
    return named.pivot(index=["precision", "law"], columns=WHO, values="value").loc[order, _order(laws)]


def of_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs of atoms for reading: how many have a hole, which, and how high the lowest stands at 0.3 Å."""
    holes = rows[rows["test"] == HOLES].set_index(WHO)
    heights = rows[rows["test"] == WALL].set_index(WHO)["value"]
    shown = holes[["value", "subject"]].rename(columns={"value": HOLES, "subject": "which"})
    return shown.assign(**{f"{WALL} (eV)": heights})


def of_bonds(rows: pd.DataFrame) -> pd.DataFrame:
    """Stretched bonds for reading, the columns of `OF_A_BOND` for each bond; of one minimum, one extremum and flip."""
    bonds = rows[rows["test"].isin(OF_A_BOND)]
    return bonds.pivot(index=WHO, columns=["test", "subject"], values="value").loc[_order(bonds)]


def of_trajectories(rows: pd.DataFrame) -> pd.DataFrame:
    """Trajectories for reading: a row a potential and a trajectory."""
    of_time = rows[rows["test"].isin(OF_A_TRAJECTORY)]
    named = of_time.assign(number=of_time["test"] + " (" + of_time["unit"] + ")")
    named["number"] = named["number"].str.replace(" (1)", "", regex=False)
    names = list(dict.fromkeys(named["number"]))
    index = ["subject", *WHO]
    wide = named.pivot(index=index, columns="number", values="value")[names]
    order = named.sort_values("subject", kind="stable")[index]
    return wide.loc[list(dict.fromkeys(order.itertuples(index=False, name=None)))]


def _order(rows: pd.DataFrame) -> list[tuple[object, ...]]:
    """The potentials of ``rows`` in the order in which they come."""
    return list(dict.fromkeys(rows[WHO].itertuples(index=False, name=None)))
