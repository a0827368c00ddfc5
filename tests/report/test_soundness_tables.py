"""The table of an examination has every number once, beside the reference, and its sentences say what it says."""

import numpy as np
import pandas as pd
import pytest

from lib.potentials.examination import CONSTANT
from lib.report import soundness
from lib.report import soundness_in_words as words
from lib.report.figures import soundness as draw

PAPER, FIT, REFERENCE = "the paper's", "for dynamics", "GFN2-xTB"
LENGTHS = np.linspace(0.7, 1.7, 21)


def who(settings, model="SchNet"):
    return {"model": model, "settings": settings, "steps": 0 if model == REFERENCE else 800}


def laws(settings, off):
    values = {"float32": off, "float64": off / 10}
    rows = [{"law": law, "precision": precision, "value": value, "unit": "meV"}
            for law in ("energy of copies", "a molecule 50 Å away") for precision, value in values.items()]  # fmt: skip
    return pd.DataFrame(rows).assign(**who(settings))


def pairs(settings, hole):
    distance = np.arange(0.3, 1.5, 0.1)
    energy = 10 - 6 * distance - 20 * hole * (distance < 0.45)
    return pd.DataFrame({"pair": "H-O", "distance": distance, "energy": energy}).assign(**who(settings))


def scan(settings, model="SchNet", ripple=0.0):
    energy = (LENGTHS - 1.2) ** 2 + ripple * np.cos(40 * LENGTHS)
    force = -2 * (LENGTHS - 1.2) + 40 * ripple * np.sin(40 * LENGTHS)
    rows = pd.DataFrame({"bond": "H-O", "calculator": model, "length": LENGTHS, "energy": energy, "force": force})
    return rows.assign(**who(settings, model))


def path(settings, model="SchNet", lasts=10.0, names=(CONSTANT, "300 K")):
    time = np.linspace(0, lasts, 50)
    kinetic = 5 + np.sin(time)
    rows = pd.DataFrame({"time": time, "potential": -kinetic, "kinetic": kinetic, "kelvin": 290.0, "longest": 1.1})
    return pd.concat([rows.assign(replica=name) for name in names]).assign(**who(settings, model))


@pytest.fixture
def parts():
    return {
        "laws": pd.concat([laws(PAPER, 100.0), laws(FIT, 0.01)]),
        "pairs": pd.concat([pairs(PAPER, True), pairs(FIT, False)]),
        "stretches": pd.concat([scan(PAPER, ripple=0.05), scan(FIT), scan("", REFERENCE)]),
        "trajectories": pd.concat([path(PAPER, lasts=4.0), path(FIT), path("", REFERENCE, names=("300 K",))]),
        "long": path(FIT, lasts=50.0, names=(CONSTANT,)),
    }


@pytest.fixture
def table(parts):
    errors = pd.DataFrame([who(PAPER), who(FIT)]).assign(energy=[1.0, 2.0], force=[3.0, 4.0])
    return soundness.table(parts, errors, 19, REFERENCE)


def test_every_number_stands_once(table):
    assert list(table.columns) == soundness.COLUMNS
    assert not table.duplicated(["model", "settings", "precision", "test", "subject"]).any()
    values = table[table["precision"] == "float32"].set_index(["settings", "test", "subject"])["value"]
    assert values[PAPER, soundness.HOLES, "H-O"] == 1
    assert values[FIT, soundness.HOLES, ""] == 0
    assert soundness.of_pairs(table)["which"].tolist() == ["H-O", ""]
    assert values[FIT, soundness.EXTREMA, "H-O"] == 1 < values[PAPER, soundness.EXTREMA, "H-O"]
    assert values[FIT, soundness.OFF, "H-O"] == 0 < values[PAPER, soundness.OFF, "H-O"]
    assert values[FIT, "lasts", soundness.LONG] == pytest.approx(50)
    assert values[PAPER, soundness.ERROR, "force"] == 3
    assert values[FIT, "drifted over kinetic fluctuation", CONSTANT] < 1e-6


def test_it_can_be_read(table):
    read = soundness.of_laws(table)
    assert read.loc[("float64", "energy of copies (meV)"), ("SchNet", PAPER, 800)] == 10.0
    assert read.loc[("", "test error (MAE), energy (kcal/mol)"), ("SchNet", FIT, 800)] == 2.0
    assert soundness.of_bonds(table).loc[(REFERENCE, "", 0), (soundness.FLIPS, "H-O")] == 1
    times = soundness.of_trajectories(table)["lasts (ps)"]
    assert times["300 K", REFERENCE, "", 0] == pytest.approx(10)


def test_sentences_follow_the_table(table):
    assert words.largest(table, PAPER, "energy of copies") == "100"
    assert words.largest(table, FIT, "energy of copies") == "0.01"
    assert words.worst(table, FIT, "float64") == "0.001"
    assert words.holes(table, PAPER) == "1 of 6 pairs (SchNet H-O)"
    assert words.holes(table, FIT) == "0 of 6 pairs"
    assert words.wall(table, FIT) == "8.2"
    assert words.wavy(table, FIT) == "0 of 1 (pulled back to 1.4 to 1.4 times)"
    assert words.wavy(table, PAPER).startswith("1 of 1 (pulled back to 1.")
    assert words.broken(table, PAPER).startswith("2 of 2 (SchNet, constant energy, after 4 ps; ")
    assert words.broken(table, "") == "0 of 1"
    assert "in 50 ps" in words.drifts(table, FIT)
    assert words.copies(table, PAPER).startswith("100 meV (a force by 100 meV/Å")
    known = [{"conformations": f"{word} molecules", "kind": kind, "factor": factor, "within 1 spread": share,
              "calibrated: 1": 0.52} for word in ("known", "unknown") for kind in ("energy", "force")
             for factor, share in (("before", 0.3), ("after", 0.5))]  # fmt: skip
    text = words.spread(pd.DataFrame(known))
    assert text.count("30 → 50 % of") == 4
    assert text.endswith("due are 52 %")


def test_the_figure_shows_both_settings_and_the_reference(parts):
    figure = draw(parts, 19, ("SchNet", "H-O", "H-O"), REFERENCE)
    labels = [[line.get_label() for line in ax.get_lines()] for ax in figure.axes]
    assert labels[0] == [PAPER, FIT]
    assert labels[2] == [PAPER, FIT, REFERENCE]
    assert labels[3] == [PAPER, FIT]
