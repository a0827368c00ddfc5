"""The ledger's picture: every row has words, nothing blank, nothing over the edge."""

import matplotlib as mpl
import numpy as np
import pandas as pd

from lib.paths import DATA
from lib.report.figures import ledger as drawing
from lib.report.verdicts import SIGNS, SIZES

mpl.use("Agg")


def rows():
    """One row of each sign and size, with numbers small and large, on the axis, beyond it and not on it."""
    base = {"statement": "Pre-training lowers the error of all models on all data sets that were ever made " * 2,
            "value": 12.3, "low": -1.2, "high": 25.6, "unit": "%", "printed": np.nan, "why": "",
            "size": ""}  # fmt: skip
    out = [base | {"sign": sign} for sign in SIGNS]
    out += [base | {"sign": "certain", "size": size, "printed": 68.0} for size in SIZES]
    out += [
        base | {"sign": "against", "value": -146.0, "low": -1540.0, "high": -139.0},
        base | {"sign": "likely", "high": 250.0},
        base | {"sign": "certain", "unit": "kcal/mol/atom", "value": 55.7, "low": 34.6, "high": 89.9},
        base | {"sign": "certain", "unit": "1", "value": 0.56},
        base | {"sign": "one seed", "unit": "ratio", "low": np.nan, "high": np.nan},
        base | {"sign": "not tested", "value": np.nan, "low": np.nan, "why": "no such runs at this scale " * 9},
    ]
    return pd.DataFrame(out)


def test_every_row_has_words_within_the_figure():
    table = rows()
    figure = drawing.verdicts(table, "mini suite (GFN2-xTB), scale laptop")
    figure.set_layout_engine("constrained")
    figure.canvas.draw()
    words, forest, numbers = figure.axes
    signs = [t.get_text() for t in words.texts[::2]]
    assert signs == table["sign"].tolist()
    assert [t.get_text().replace("\n", " ") for t in words.texts[1::2]] == table["size"].tolist()
    told = [t.get_text() for t in numbers.texts]
    assert all(told)
    assert told[0] == "12.3 [-1.2, 25.6] %"
    assert told[8] == "12.3 [-1.2, 25.6] %\nprinted 68"
    assert told[-4:] == ["55.7 [34.6, 89.9] kcal/mol/atom", "0.56 [-1.2, 25.6]", "12.3 ratio", told[-1]]
    assert told[-1].startswith("no such runs at this scale")
    width = figure.bbox.width
    for text in [*words.texts, *numbers.texts, *words.get_yticklabels()]:
        box = text.get_window_extent()
        assert box.x0 >= 0, text.get_text()
        assert box.x1 <= width, text.get_text()
    for text in words.texts[1::2]:
        assert text.get_window_extent().x1 <= forest.bbox.x0 + 1, text.get_text()


def test_marks_are_numbers_on_the_axis_and_arrows_beyond_it():
    table = rows()
    _, forest, _ = drawing.verdicts(table, "").axes

    def marks(marker):
        return [(line.get_xdata()[0], line.get_ydata()[0]) for line in forest.lines if line.get_marker() == marker]

    last = len(table) - 1
    assert len(marks("D")) == len(SIZES)
    assert marks("<") == [(-100, last - 5)]
    assert [mark for mark in marks(">") if mark[1] == last - 4] == [(100, last - 4)]
    drawn = {y for _, y in marks("o")}
    assert drawn == set(range(len(SIGNS) + len(SIZES))) | {last - 4}  # units in per cent alone


def test_every_claim_is_counted_once_at_a_part_of_the_paper():
    claims = pd.read_csv(DATA / "paper" / "claims.csv", dtype=str, keep_default_na=False)
    table = claims.assign(sign=[SIGNS[k % len(SIGNS)] for k in range(len(claims))])
    (ax,) = drawing.verdict_counts(table, "mini suite").axes
    assert sum(bar.get_width() for bar in ax.patches) == len(claims)
    assert [t.get_text() for t in ax.get_yticklabels()] == list(drawing.PARTS.values())
    assert ax.yaxis_inverted()
