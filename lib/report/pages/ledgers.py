"""Tables of the ledger of claims, in Markdown: how many have which verdict, each with its reason, the undecided."""

import pandas as pd

from lib.paths import DATA
from lib.report.ledger import NOT_CLAIMED, summary
from lib.report.pages.markdown import markdown
from lib.report.pages.notebooks import home_of_items
from lib.report.pages.values import table

FEW = 9  # at most so many different words make a column of the ledger one that is counted and filtered by
UP = ".."  # from docs/ to the root


def ledger() -> str:
    """Every claim with our verdict, our number, why, and where it is decided; links are from docs/."""
    questions = pd.read_csv(DATA / "paper" / "claims.csv", dtype=str, keep_default_na=False)
    rows, items = [], questions.set_index("claim")["item"]
    claims = table("claims")
    words = [name for name in counted_columns(claims) if name != "place"]
    for _, claim in claims.iterrows():
        page, stem = home_of_items(items.get(claim["claim"], ""))
        ours = "" if pd.isna(claim["value"]) else f"{claim['value']:.4g}"
        if not pd.isna(claim["low"]):
            ours += f" [{claim['low']:.3g}, {claim['high']:.3g}]"
        ours = f"{ours} {claim['unit']}" if ours else "–"
        links = f"[{page.number}]({UP}/{page.executed}) [csv]({UP}/figures/laptop/{stem}.csv)"
        rest = ["" if pd.isna(claim[key]) else str(claim[key]) for key in (*words, "why")]
        cells = [claim["statement"], claim["place"], ours, *rest, links]
        rows.append([str(cell).replace("|", "\\|") for cell in cells])
    return markdown(["claim or question", "place", "ours", *words, "why", "notebook, csv"], rows)


def ledger_summary() -> str:
    """How many of the paper's findings and of our questions have which sign, how many of them stand (`ledger.summary`),
    and how many rows have which of the other words.
    """
    claims = table("claims")
    ours = claims["the paper's own numbers"] == NOT_CLAIMED
    rows = []
    for name, group in (("of the paper", claims[~ours]), ("our questions", claims[ours])):
        counts = summary(group)
        for column, what in (("findings", name), ("stand", f"{name}: these stand")):
            rows.append((what, _counted(counts[column])))
    rows += [
        (f"rows, {name}", _counted(_words(claims[name]).value_counts()))
        for name in counted_columns(claims)
        if name != "sign"
    ]
    return markdown(["", "how many"], rows)


def _counted(counts: pd.Series) -> str:
    """How often there is each word, the words that there are."""
    return ", ".join(f"{count} {word}" for word, count in counts.items() if word and count)


def counted_columns(ledger: pd.DataFrame) -> list[str]:
    """The columns of the ledger that hold one of a few words, by which claims are counted and filtered."""
    words = [
        name for name in ledger if pd.api.types.is_string_dtype(ledger[name]) and name not in ("unit", "note", "why")
    ]
    return [name for name in words if 2 <= _words(ledger[name]).nunique() <= FEW]


def undecided() -> str:
    """Claims that no number of ours can decide, with the reason."""
    path = DATA / "paper" / "undecided.csv"
    claims = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["place", "statement", "reason"])
    return markdown(["place", "the paper claims", "why not"], claims[["place", "statement", "reason"]].to_numpy())


def _words(column: pd.Series) -> pd.Series:
    """What stands before a colon: the word, without its reason."""
    return column.fillna("").str.split(":").str[0]
