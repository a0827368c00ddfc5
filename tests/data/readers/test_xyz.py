"""Extended xyz: every announced frame is read, or the file is refused with the frame and the line at fault."""

import numpy as np
import pytest

from lib.data.readers import READERS
from lib.errors import DataError
from lib.units import EV

COMMENT = 'Properties=species:S:1:pos:R:3 energy={} pbc="F F F"'


def text(n: int = 3, ending: str = "\n") -> str:
    frames = [f"2\n{COMMENT.format(-1.5 - k)}\nH 0.00 0.00 0.0{k}\nH 0.00 0.00 0.74\n" for k in range(n)]
    return ending.join(frames).removesuffix("\n") + "\n"


def read(path, content: str, **options):
    path.write_text(content)
    return list(READERS["own"](path, **{"energy_unit": "eV"} | options))


def refused(path, content: str, *words: str, **options) -> None:
    with pytest.raises(DataError) as caught:
        read(path, content, **options)
    for word in (str(path), *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "own.xyz"


@pytest.mark.parametrize("between", ["", "\n", "\n\n", "  \n", "\r\n"])
def test_empty_lines_between_frames_lose_none(path, between):
    (hydrogen,) = read(path, text(5, between))
    np.testing.assert_allclose(hydrogen.energy, [(-1.5 - k) * EV for k in range(5)])


@pytest.mark.parametrize("name", ["run@300K.xyz", "x@2.xyz", "a b.extxyz", "@.xyz"])
def test_any_name_can_be_read(tmp_path, name):
    (hydrogen,) = read(tmp_path / name, text())
    assert len(hydrogen.energy) == 3


@pytest.mark.parametrize("count", [10**12, 10**17, 500])
def test_more_atoms_than_the_file_can_hold(path, count):
    refused(path, f"{count}\n" + text().split("\n", 1)[1], "frame 0", f"announces {count} atoms", "copy")


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_cut_last_frame(path, lines):
    cut = "".join(text(ending="").splitlines(keepends=True)[: 8 + lines])
    refused(path, cut, "frame 2", "announces 2 atoms")


@pytest.mark.parametrize("cut", [2, 3, 4])
def test_a_number_that_is_cut_is_no_number(path, cut):
    refused(path, text()[:-cut], "frame 2", "no end")


def test_a_whole_last_line_needs_no_end(path):
    (hydrogen,) = read(path, text()[:-1])
    assert len(hydrogen.energy) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("2\n", "nan\n"), ("line 1", "no number of atoms")),
        (("2\n", "0\n"), ("no atoms",)),
        (("2\n", "-2\n"), ("no number of atoms",)),
        (("energy=", "energy=1 energy="), ("'energy' 2 times",)),
        (("pbc=", 'name="x pbc='), ("quotation", "not closed")),
        (("pos:R:3", "pos:R:99999999"), ("columns, not 100000000",)),
        (("pos:R:3", "pos:R:x"), ("does not say how many",)),
        (("pos:R:3", "pos:L:3"), ("pos of type L",)),
        (("species:S", "species:Q"), ("ASE cannot read it",)),
        (("H 0.00", "H 0.0 0"), ("atom 0 has 5 columns, not 4",)),
        (("H 0.00", "H x"), ("ASE cannot read it",)),
        (("H 0.00", "Qq 0.00"), ("frame 0",)),
        (("H 0.00", "H inf"), ("not finite",)),
        (("H 0.00", "H 1e200"), ("not finite",)),
        (("H 0.00", "H 1e9"), ("from its centre",)),
        (("energy=-1.5", "energy=inf"), ("its energy is inf",)),
        (("energy=-1.5", "energy=1e308"), ("its energy is 1e+308",)),
        (("energy=-1.5", "energy=2**99"), ("no number but '2**99'",)),
        (("pbc=", 'name="1 2" pbc='), ("its name is", "no text")),
        (("pbc=", 'charge="1 2 3" pbc='), ("charge", "no number")),
        (('"F F F"', '"T T T"'), ("periodic",)),
    ],
)
def test_odd_frames(path, change, words):
    refused(path, text().replace(*change, 1), "frame 0", *words)


@pytest.mark.parametrize(("column", "values", "word"), [("R", "1e30 0", "no formal charge"), ("L", "F F", "bool"),
                                                        ("S", "a b", "whole number"), ("R", "0.5 0", "not a formal"),
                                                        ("R", "nan 0", "no formal charge")])  # fmt: skip
def test_charges_that_are_no_small_whole_numbers(path, column, values, word):
    first, second = values.split()
    content = (
        f"2\nProperties=species:S:1:pos:R:3:formal_charges:{column}:1 energy=1\nH 0 0 0 {first}\nH 0 0 1 {second}\n"
    )
    refused(path, content, "frame 0", word, "whole number")


def test_other_encodings(path):
    path.write_bytes(text().encode("utf-16"))
    with pytest.raises(DataError, match="UTF-8"):
        list(READERS["own"](path, energy_unit="eV"))
    for encoded in (text().encode("utf-8-sig"), text().replace("\n", "\r").encode()):
        path.write_bytes(encoded)
        assert len(next(READERS["own"](path, energy_unit="eV")).energy) == 3


def test_levels_that_frames_state(path):
    stated = text().replace("pbc=", "level=B3LYP/def2-SVP pbc=")
    refused(path, stated, "'B3LYP/def2-SVP', not 'GFN2-xTB'", level="GFN2-xTB")
    assert len(read(path, stated)) == 1
    refused(path, stated + text(1).replace("pbc=", "level=PBE pbc="), "frame 3", "'PBE', not 'B3LYP/def2-SVP'")


def test_a_molecule_far_away_keeps_its_shape(path):
    """Two molecules 1e5 Å from the origin; float32 there has steps of 8 mÅ."""
    near = text()
    far = near.replace("0.00 0.00 0.0", "100000.00 0.00 0.0").replace("H 0.00 0.00 0.74", "H 100000.00 0.00 0.74")
    (one,), (other,) = read(path, near), read(path, far)
    np.testing.assert_allclose(np.diff(one.positions, axis=1), np.diff(other.positions, axis=1), atol=1e-6)
