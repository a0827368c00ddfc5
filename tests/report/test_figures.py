"""Figures: what they show is what the tables hold, the paper stands beside it, and a column of a page is enough."""

import json
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

from lib.paths import ROOT
from lib.report import prose, tables
from lib.report.examples import NoisedExample
from lib.report.figures import comparisons, denoising, details, interactive, molecule_3d, potentials, series, style

mpl.use("Agg")


@pytest.fixture(autouse=True)
def drawn_alike():
    style.set_style()
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def recorded():
    """Reader of the tables of laptop scale, which come with the project."""

    def read(stem):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prose, "FIGURES", ROOT / "figures")
            return prose.read(stem, "laptop")

    return read


@pytest.fixture(scope="module")
def table2(recorded):
    return recorded("table2").query("metric == 'mae'")


def by_dataset(table):
    return list(table.groupby("dataset"))


def errors_of_conformations(bins=6):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"model": "EGNN", "molecule": rng.integers(20, size=400), "energy": rng.normal(size=400)})
    rows = rows.assign(atoms=5 + rows["molecule"], baseline=0.0, error=rng.normal(size=400))
    return pd.concat([rows.assign(pretrained=arm) for arm in ("no", "yes")], ignore_index=True)


def curves():
    rows = pd.DataFrame({"epoch": [0, 1, 2], "validation_denoising_error": [1.0, 0.9, 0.5]})
    return rows.assign(model="EGNN", seed=0, rigid_part=0.16)


def example():
    return NoisedExample(np.array([8, 1, 1]), *np.random.default_rng(0).normal(size=(3, 3, 3)))


POTENTIAL = "TorchMD-Net, mini ISO17 (GFN2-xTB)"


def trajectory():
    return pd.DataFrame({"time": np.linspace(0, 10, 50), "total": np.random.default_rng(0).normal(size=50)})


def shares(recorded):
    table = recorded("figure4")
    parts = [rows for _, rows in table.groupby(["dataset", "system"], sort=False)]
    counts = [pd.Series({s: round(1000 * s) for s in rows["share"].unique()}) for rows in parts]
    return series.error_by_share([(f"({c}) x", rows) for c, rows in zip("abcd", parts, strict=True)], counts, "EGNN")


def by_sigma(recorded):
    table = recorded("figure5")
    means = table.query("pretrained != 'improvement'").pivot(
        index=["pretrained", "sigma"], columns="metric", values="value"
    )
    means = means.reset_index().assign(seed=0)
    return series.error_by_sigma(table, means.assign(pretrained=means["pretrained"] == "yes"), "TorchMD-Net", 0.2)


FIGURES = {
    "bars": lambda read: comparisons.arm_bars(by_dataset(read("table2").query("metric == 'mae'")), title="Table 2"),
    "systems": lambda read: comparisons.arm_bars(list(read("figure3").groupby("model", sort=False)), "system"),
    "gains": lambda read: comparisons.gains(read("figure2cd"), "subset", "mini SPICE (GFN2-xTB)"),
    "details": lambda _: details.error_details(errors_of_conformations(), "mini ANI-1x (GFN2-xTB)"),
    "figure1": lambda _: denoising.figure1(example(), "EGNN", curves(), 0.2, "mini suite (GFN2-xTB)"),
    "forces": lambda read: comparisons.arm_bars(
        list(read("forces").query("model != 'average'").groupby("metric", sort=False)), "subset", title=POTENTIAL
    ),
    "dynamics": lambda _: potentials.energies_in_time(
        {"sharp cutoff": trajectory(), "smooth cutoff": trajectory()}, 19, POTENTIAL
    ),
    "torsion": lambda _: potentials.torsion(
        pd.DataFrame({"angle": range(-180, 181, 15), "potential": 1.0, "GFN2-xTB": 2.0}), POTENTIAL
    ),
    "vibrations": lambda _: potentials.vibrations(
        np.linspace(50, 3400, 9), {"potential": np.linspace(40, 3300, 9)}, "GFN2-xTB", POTENTIAL
    ),
    "calibration": lambda read: potentials.calibration(read("calibration"), POTENTIAL),
    "learning curve": lambda read: potentials.by_labels(read("own_molecules"), POTENTIAL),
    "equation8": lambda read: denoising.scatter(read("equation8_points"), "EGNN", POTENTIAL),
    "figure4": shares,
    "figure5": by_sigma,
}


def test_trajectories_that_hardly_move_are_drawn_once_more():
    loud, quiet = trajectory(), trajectory().assign(total=lambda rows: rows["total"] / 100)
    figure = potentials.energies_in_time({"sharp cutoff": loud, "smooth cutoff": quiet}, 19, POTENTIAL)
    assert [[line.get_label() for line in ax.lines] for ax in figure.axes] == [
        ["sharp cutoff", "smooth cutoff"], ["smooth cutoff"],
    ]  # fmt: skip
    assert np.ptp(figure.axes[1].get_ylim()) < 0.05 * np.ptp(figure.axes[0].get_ylim())
    assert len(potentials.energies_in_time({"sharp cutoff": loud, "another": loud}, 19, POTENTIAL).axes) == 1


def test_an_average_with_a_model_that_learnt_nothing_has_no_interval(recorded):
    """The ledger bounds it; the star of one seed says of averages that they borrow a spread, if there is one."""
    rows = recorded("figure3").query("model == 'average' and pretrained == 'improvement'")
    blank = rows["evidence"] == "no"
    assert blank.any() and not blank.all()
    drawn = comparisons._improvements(rows)
    assert drawn.loc[blank, ["low", "high"]].isna().all(axis=None)
    assert drawn.loc[~blank, ["low", "high"]].equals(rows.loc[~blank, ["low", "high"]])
    panels = list(recorded("figure3").groupby("model", sort=False))
    note = comparisons.arm_bars(panels, "system").legends[0].get_title().get_text()
    assert comparisons.BORROWED in note and comparisons.OF_AVERAGE in note
    single = [(name, table.assign(n_seeds=1)) for name, table in panels]
    assert comparisons.BORROWED not in comparisons.arm_bars(single, "system").legends[0].get_title().get_text()


@pytest.mark.parametrize("name", FIGURES)
def test_every_letter_can_be_read_at_one_columns_width(name, recorded):
    figure = FIGURES[name](recorded)
    assert figure.get_figwidth() <= style.COLUMN
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= style.SMALLEST


@pytest.mark.parametrize(
    "name", ["forces", "dynamics", "torsion", "vibrations", "calibration", "learning curve", "equation8"]
)
def test_pictures_of_potentials_name_model_and_data(name, recorded):
    figure = FIGURES[name](recorded)
    titles = [figure.get_suptitle(), *(ax.get_title() for ax in figure.axes)]
    assert POTENTIAL in titles


def test_bars_stand_beside_improvements_and_the_papers_numbers(table2):
    figure = comparisons.arm_bars(by_dataset(table2), one_scale=True)
    errors, gains = figure.axes[::2], figure.axes[1::2]
    assert len({ax.get_xlim() for ax in errors}) == 1
    assert errors[-1].get_xlabel() == "test MAE\n(kcal/mol)"
    assert gains[-1].get_xlabel() == "MAE reduction by\npre-training (%)"
    for ax, (_, rows) in zip(gains, by_dataset(table2), strict=True):
        printed = rows[rows["pretrained"] == "improvement"]["paper_value"]
        (open_marks,) = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
        assert open_marks.get_xdata().tolist() == printed.tolist()
        assert {f"{value:.3g} %" for value in printed} <= {text.get_text() for text in ax.texts}


def test_bars_end_within_their_axes(recorded):
    for ax in FIGURES["systems"](recorded).axes[::2]:
        assert all(bar.get_width() <= ax.get_xlim()[1] for bar in ax.patches)


def test_a_panel_of_averages_alone_does_not_stretch_the_axis_of_errors(recorded):
    """Errors per atom are hundredths of a kcal/mol: an axis that ends at 1 would hide them."""
    panels = list(recorded("figure3").groupby("model", sort=False))
    axes = comparisons.arm_bars(panels, "system", one_scale=True).axes[::2]
    longest = max(rows[rows["pretrained"] != "improvement"]["high"].max() for _, rows in panels)
    ends = [ax.get_xlim()[1] for ax, (_, rows) in zip(axes, panels, strict=True) if (rows["pretrained"] == "no").any()]
    assert ends == pytest.approx([1.05 * longest] * len(ends))


def test_what_the_paper_does_not_print_is_called_so(table2):
    """In the whole panel, or beside the one improvement."""
    (name, rows), *_ = by_dataset(table2)
    none = comparisons.arm_bars([(name, rows.assign(paper_value=np.nan))]).axes[1]
    assert [text.get_text() for text in none.texts] == [comparisons.NOT_PRINTED]
    only = rows["paper_value"].where(rows["model"] == "EGNN")
    some = comparisons.arm_bars([(name, rows.assign(paper_value=only))]).axes[1]
    words = [text.get_text() for text in some.texts]
    assert words.count(comparisons.NOT_PRINTED) == rows["model"].nunique() - 1


def test_what_is_ours_alone_is_not_in_the_paper(recorded):
    """Forces, controls and subsets: the paper has no bar of them, let alone a number."""
    panels = list(recorded("forces").query("model != 'average'").groupby("metric", sort=False))
    for ax in comparisons.arm_bars(panels, "subset").axes[1::2]:
        assert [text.get_text() for text in ax.texts] == [comparisons.NOT_IN_PAPER]
    words = [text.get_text() for text in comparisons.gains(recorded("figure2cd"), "subset", "").axes[0].texts]
    words = [word for word in words if word != "‡"]
    assert words == ["not in\nthe paper"] * (recorded("figure2cd")["subset"].nunique() - 1)
    one_model = list(recorded("figure3").query("model == 'EGNN'").groupby("model"))
    bars = comparisons.arm_bars(one_model, "system").axes[1]
    one_arm = one_model[0][1].query("pretrained == 'improvement' and evidence == 'one arm'")
    assert [text.get_text() for text in bars.texts] == ["‡"] * len(one_arm) + [comparisons.NOT_PRINTED]
    assert len(one_arm)


def test_no_interval_or_mark_of_figure4_is_cut(recorded):
    for ax in shares(recorded).axes:
        low, high = ax.get_ylim()
        drawn = np.concatenate([line.get_ydata() for line in ax.lines if len(line.get_ydata())])
        whole = drawn[np.isfinite(drawn)]
        assert low <= whole.min()
        assert whole.max() <= high


def test_comparisons_without_evidence_are_pale_and_said_so(table2):
    for table, told in ((table2.assign(evidence="yes"), False), (table2.assign(evidence="no"), True)):
        bars, marks = comparisons.arm_bars([("ANI", table)]), comparisons.gains(table, "dataset", "Table 2")
        for figure in (bars, marks):
            assert (comparisons.WITHOUT_EVIDENCE in figure.legends[0].get_title().get_text()) is told
        assert {p.get_alpha() == comparisons.PALE for p in bars.axes[0].patches} == {told}


def test_improvements_show_the_average_too(table2):
    figure = comparisons.gains(table2, "dataset", "Table 2")
    assert tables.AVERAGE in [text.get_text() for text in figure.legends[0].get_texts()]
    assert figure.axes[0].get_xlabel() == style.IMPROVEMENT


def test_figure4_has_the_papers_two_errors_and_says_what_they_lack(recorded):
    figure = shares(recorded)
    printed = {line.get_ydata()[0] for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"}
    assert printed == {39.37, 10.04}
    assert "39.37 and 10.04, data set and unit not printed" in figure.legends[0].get_title().get_text()
    words = [ax.get_title(loc="right") for ax in figure.axes[1::2]]
    assert words == ["paper: 74.5 %", "paper: not printed", "paper: not printed", "paper: > 68 %"]
    assert figure.axes[0].get_xticklabels()[0].get_text() == "5\n50"


def test_figure5_marks_our_best_noise_and_the_papers(recorded):
    figure = by_sigma(recorded)
    rows = recorded("figure5").query("metric == 'mae' and pretrained == 'yes'").sort_values("sigma")
    lines = {line.get_label(): line for line in figure.axes[1].lines}
    assert lines["our lowest mean"].get_ydata()[0] == rows["value"].min()
    assert lines["the paper's best, 0.2 Å"].get_xdata()[0] == rows["sigma"].tolist().index(0.2)


def test_figure1_begins_before_training_and_scales_its_arrows():
    figure = denoising.figure1(example(), "EGNN", curves(), 0.2, "mini suite (GFN2-xTB)")
    noised, errors = figure.axes[1], figure.axes[2]
    assert errors.lines[0].get_xydata().tolist() == [[0, 1.0], [1, 0.9], [2, 0.5]]
    assert [ax.get_title()[:3] for ax in figure.axes] == ["(a)", "(b)", "(c)"]
    assert [text.get_text() for text in noised.texts] == ["0.5 Å"]
    bar = noised.lines[-1].get_xdata()
    assert bar[1] - bar[0] == pytest.approx(0.5)


def test_details_have_intervals_and_whole_atoms():
    figure = details.error_details(errors_of_conformations(), "mini ANI-1x (GFN2-xTB)")
    atoms = next(ax for ax in figure.axes if ax.get_xlabel() == "atoms")
    assert len(atoms.containers) == 2
    assert all(container.has_yerr for container in atoms.containers)
    assert all(tick == round(tick) for tick in atoms.get_xticks())


def test_a_copy_without_noise_is_the_molecule_itself():
    one = example()
    figure = denoising.noised_copies(one.numbers, one.clean, one.noise, (0.0, 1.0))
    clean, noised = (ax.collections[0].get_offsets() for ax in figure.axes)
    flat = denoising.flat_view(one.clean)
    assert np.allclose(clean, one.clean @ flat)
    assert np.allclose(noised, (one.clean + one.noise) @ flat)


def test_a_slider_is_left_out_where_nobody_can_move_it(monkeypatch):
    drawn = []
    monkeypatch.setattr(interactive.ipywidgets, "interact", lambda show, value: drawn.append(value.options))
    interactive.slider(lambda _: plt.figure(), "σ (Å)", (0.1, 0.2))
    monkeypatch.setenv(interactive.STATIC, "1")
    interactive.slider(lambda _: plt.figure(), "σ (Å)", (0.1, 0.2))
    assert drawn == [(0.1, 0.2)]


def test_a_molecule_to_turn_needs_nothing_from_elsewhere_and_is_no_mirror_image():
    one = example()
    page = molecule_3d.shaken(one.numbers, one.clean, one.noise, 0.2).data
    assert "http" not in page
    data = json.loads(re.search(r"const m = (\{.*?\}), root", page).group(1))
    clean = one.clean - one.clean.mean(0)
    turn = np.linalg.lstsq(np.concatenate([clean, one.noise]), np.concatenate([data["clean"], data["directions"]]))[0]
    assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-2)
    assert np.linalg.det(turn) > 0
    with pytest.raises(ValueError, match=r"sigma = 2.0 Å.*from 0 to 1"):
        molecule_3d.shaken(one.numbers, one.clean, one.noise, 2.0)


def test_figures_are_written_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "FIGURES", tmp_path)
    path = style.save_figure(plt.figure(), "table2", "smoke")
    assert path.exists()
    assert path.with_suffix(".svg").exists()


def test_a_long_figure_has_the_resolution_of_a_screen(tmp_path):
    """At that of print it would be the largest file of all, and no page shows it whole."""
    widths = {}
    for height in (style.PAGE, style.PAGE + 1):
        style.write_figure(plt.figure(figsize=(2, height), layout="none"), tmp_path / "figure.png")
        with Image.open(tmp_path / "figure.png") as image:
            widths[height] = image.width
    assert list(widths.values()) == [600, 300]
