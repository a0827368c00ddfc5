"""README's lines on where the paper's claims stand: reproduced, not reproduced, undecided, not testable here.

Each statement is a clause about one row of the ledger (figures/laptop/claims.csv), and the verdict of that row puts it
into its line, with the number that decides. So no sentence here can say more than the ledger does: what is only likely
or unlikely stays undecided, and a mark tells what is certain by itself but not among so many claims.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from lib.report.pages.values import NO_BREAK, interval, one
from lib.report.verdicts import (
    AGAINST,
    AGREES,
    CERTAIN,
    LARGER,
    LEVEL,
    LIKELY,
    NO_EVIDENCE,
    ONLY_SCRATCH,
    ONLY_TUNED,
    SEEN_ONCE,
    SIZE_UNKNOWN,
    SMALLER,
    UNKNOWN,
    UNLIKELY,
    UNTESTED,
)

REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_RUN = "Reproduced", "Not reproduced", "Undecided", "not run here"
OF_SIGNS: Mapping[str, str] = {
    CERTAIN: REPRODUCED, AGAINST: NOT_REPRODUCED,
    LIKELY: UNDECIDED, UNLIKELY: UNDECIDED, UNKNOWN: UNDECIDED, SEEN_ONCE: UNDECIDED, NO_EVIDENCE: UNDECIDED,
    UNTESTED: NOT_RUN,
}  # fmt: skip
OF_SIZES: Mapping[str, str] = {
    AGREES: REPRODUCED, SMALLER: NOT_REPRODUCED, LARGER: NOT_REPRODUCED,
    SIZE_UNKNOWN: UNDECIDED, ONLY_TUNED: UNDECIDED, ONLY_SCRATCH: UNDECIDED, "": NOT_RUN,
}  # fmt: skip
PLAIN = (CERTAIN, AGAINST, UNKNOWN, UNTESTED)  # signs that the name of the line says already
PATTERN = "the pattern over models behind the averages"


@dataclass(frozen=True)
class Statement:
    """What the paper says, and the row of the ledger that decides it.

    Attributes:
        claim: the row's name.
        clause: the statement in words that stand in any of the lines.
        of_size: whether the printed number is meant, so that the row's size decides; else its sign does.
        of_every: whether it is about every case, so that the number is that of the weakest.
    """

    claim: str
    clause: str
    of_size: bool = False
    of_every: bool = False


STATEMENTS = (
    Statement("table2-average-ani1-mae", "an average gain on mini ANI-1"),
    Statement("table2-average-ani1x-mae", "an average gain on mini ANI-1x"),
    Statement("table2-torchmd-net-ani-1x-mae", "a gain of TorchMD-Net on mini ANI-1x, smaller than printed"),
    Statement("iso17-se3-half", "the SE(3)-Transformer's gain on isomers never seen (RMSE and MAE)"),
    Statement("spice-other-elements", "an average gain, mostly EGNN's, on elements never seen (mini SPICE)"),
    Statement("noise-along-forces", "minus the noise along the forces (rank correlation; 1 by equation 8)"),
    Statement("md22-larger-systems", "an average gain on mini MD22, most cells of one seed"),
    Statement(
        "efficiency-ten-times",
        "50 labels with pre-training beating 500 without (mini ANI-1x; the paper names no data)",
    ),
    Statement("ani1x-more-than-32", "three models' gains above 32 % on mini ANI-1x", of_every=True),
    Statement("catcher-68", "EGNN's gain above 68 % on the buckyball catcher"),
    Statement("md22-egnn-competitive", "how far pre-trained EGNN stays within 20 % of the least error on mini MD22"),
    Statement("cheap-models-gain-most", "a larger gain of SchNet and EGNN than of the others"),
    Statement("iso17-every-model", "a gain of every model on isomers never seen", of_every=True),
    Statement("spice-every-model", "a gain of every model on mini SPICE", of_every=True),
    Statement("md22-every-system", "a gain of every model on every system of mini MD22", of_every=True),
    Statement("sigma-best", "0.2 Å as the best noise"),
    Statement("nonequilibrium-beats-equilibrium", "nonequilibrium conformations serving better than equilibrium ones"),
    Statement("table2-schnet-ani-1x-mae", "SchNet's on mini ANI-1x", of_size=True),
    Statement("table2-egnn-ani-1x-mae", "EGNN's on mini ANI-1x", of_size=True),
)
NOTHING, BY_ITSELF = "nothing", "°"
NOT_TESTABLE = (
    "* **Not testable here**: anything at the paper's scale: our data (GFN2-xTB) and networks are small, labels few."
)
AMONG_ALL = f"{BY_ITSELF}: false-discovery rate among all claims above {100 * LEVEL:g} %"


def standing() -> str:
    """The lines, a list in Markdown; the first that has the mark `BY_ITSELF` ends with what it means."""
    lists = {name: _listing(name) for name in (REPRODUCED, NOT_REPRODUCED, UNDECIDED)}
    marked = next((name for name, listing in lists.items() if BY_ITSELF in listing), "")
    ends = {name: f" ({AMONG_ALL})" * (name == marked) for name in lists}
    lines = [f"* **{name}**: {listing}{ends[name]}." for name, listing in lists.items()]
    left = _listing(NOT_RUN)
    lines.append(NOT_TESTABLE + (f" {NOT_RUN.capitalize()}: {left}." if left != NOTHING else ""))
    return "\n".join(lines)


def line_of(statement: Statement) -> str:
    """The line that the ledger's verdict puts ``statement`` into."""
    row = _row(statement)
    return OF_SIZES[_text(row["size"])] if statement.of_size else OF_SIGNS[row["sign"]]


def _listing(line: str) -> str:
    """All statements of ``line``, those of a size after the others."""
    own = [s for s in STATEMENTS if line_of(s) == line]
    clauses = [_in_words(s) for s in own if not s.of_size]
    sizes = " and ".join(_in_words(s) for s in own if s.of_size)
    return "; ".join([*clauses, *([f"{PATTERN}: {sizes}"] if sizes else [])]) or NOTHING


def _in_words(statement: Statement) -> str:
    """The clause with the number that decides, the printed one, and the sign's word where the line does not say it."""
    row = _row(statement)
    mark = BY_ITSELF if row["sign"] in (CERTAIN, AGAINST) and row["q"] > LEVEL and not statement.of_size else ""
    facts = [] if pd.isna(row["value"]) else [("weakest " if statement.of_every else "") + interval(row) + mark]
    facts += [row["sign"]] if row["sign"] not in PLAIN and not statement.of_size else []
    if not pd.isna(row["printed"]):
        facts.append(f"printed {row['printed']:g}{NO_BREAK}%")
    return f"{statement.clause} ({'; '.join(facts)})" if facts else statement.clause


def _row(statement: Statement) -> pd.Series:
    return one("claims", f"claim={statement.claim}")


def _text(word: object) -> str:
    """An empty cell of a csv file as an empty text."""
    return "" if pd.isna(word) else str(word)
