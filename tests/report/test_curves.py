"""Learning curves of any runs: what is drawn, what the axes and the legend say, and the command."""

from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
from conftest import MOLECULES, make_molecule, write_ani1
from matplotlib.colors import to_hex

from lib.cli.main import main
from lib.data.datasets import DataSet
from lib.models import make_settings
from lib.report.figures import curves
from lib.report.figures.curves import COLOURS, facts, learning_curves
from lib.runs import results, runner
from lib.runs.config import RunConfig
from lib.runs.results import record
from lib.runs.runner import run
from lib.training.execution import QUIET
from lib.training.settings import TrainingSettings

SETTINGS = make_settings("egnn", {"hidden_channels": 8, "n_layers": 2})
TRAINING = TrainingSettings(epochs=4, batch_size=16, learning_rate=3e-3, validate_every=2)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A pre-training and what starts from it; from scratch; with another learning rate; and wider."""
    folder = tmp_path_factory.mktemp("curves")
    molecules = [make_molecule(name, z, 30, k) for k, (name, z) in enumerate(MOLECULES.items())]
    data = (DataSet("test/ani1", "ani1", str(write_ani1(folder / "ani1.h5", molecules))),)
    source = RunConfig("denoising", data, "egnn", SETTINGS, TRAINING, seed=0, sigma=0.2)
    tuned = RunConfig("energy", data, "egnn", SETTINGS, TRAINING, 0, baseline="mean", pretrained=source)
    scratch = replace(tuned, pretrained=None)
    faster = replace(scratch, training=replace(TRAINING, learning_rate=1e-2))
    wider = replace(scratch, settings=make_settings("egnn", {"hidden_channels": 12, "n_layers": 2}))
    return [run(config, QUIET) for config in (source, tuned, scratch, faster, wider)]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_lines_are_the_histories_and_axes_have_units(trained):
    denoising, energy = learning_curves(trained).axes
    assert denoising.get_ylabel() == "validation denoising error (σ²)"
    assert energy.get_ylabel() == "validation RMSE (kcal/mol)"
    for ax, metric, shown in (
        (denoising, "validation_denoising_error", trained[:1]),
        (energy, "validation_rmse", trained[1:]),
    ):
        assert ax.get_xlabel() == "epoch"
        assert ax.get_ylim()[0] == 0
        for line, result in zip(ax.get_lines(), shown, strict=True):
            assert list(line.get_xdata()) == result.history()["epoch"] == [2, 4]
            assert list(line.get_ydata()) == result.history()[metric]


def test_the_title_has_what_is_common_and_the_legend_what_differs(trained):
    (ax,) = learning_curves(trained[1:4]).axes
    assert ax.get_title() == "EGNN, energy, test/ani1, seed 0"
    assert legend(ax) == [
        "pre-trained, learning rate 0.003",
        "from scratch, learning rate 0.003",
        "from scratch, learning rate 0.01",
    ]


def test_one_run_needs_no_legend(trained):
    (ax,) = learning_curves(trained[:1]).axes
    assert ax.get_title().replace("\n", " ") == "EGNN, denoising, test/ani1, learning rate 0.003, seed 0"
    assert ax.get_legend() is None


def test_runs_that_differ_elsewhere_are_told_apart_by_their_keys(trained):
    scratch, wider = trained[2], trained[4]
    (ax,) = learning_curves([scratch, wider]).axes
    assert legend(ax) == [f"run {scratch.key[:8]}", f"run {wider.key[:8]}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mini/ani1x", "mini ANI-1x (GFN2-xTB)"),
        ("mini/md22/buckyball-catcher", "mini MD22 buckyball catcher (GFN2-xTB)"),
        ("official/spice", "SPICE"),
        ("own", "own"),
    ],
)
def test_data_sets_go_by_the_names_of_tables(trained, name, text):
    """The mini suite never by the published name alone."""

    def of_data(*names):
        config = trained[0].about["config"]
        data = [{"reader": "ani1", "fingerprint": "f"}] * len(names)
        about = {"config": config | {"data": data}, "splits": dict.fromkeys(names, "hash")}
        return replace(trained[0], about=trained[0].about | about)

    assert facts(of_data(name))["data"] == text
    assert facts(of_data(name, "mini/ani1"))["data"] == f"{text} + mini ANI-1 (GFN2-xTB)"


def test_many_runs_never_share_colour_and_marker(trained):
    (ax,) = learning_curves([trained[0]] * 35).axes
    lines = ax.get_lines()
    assert len({(to_hex(line.get_color()), line.get_marker()) for line in lines}) == 35
    assert [to_hex(line.get_color()).upper() for line in lines[:7]] == list(COLOURS)


def test_no_runs():
    with pytest.raises(ValueError, match=r"no runs to draw: results = \[\]"):
        learning_curves([])


def test_command_writes_the_figure(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    keys = [result.key for result in trained]
    assert main(["runs", "curves", keys[0][:6]]) == 0
    path = tmp_path / f"curves-{keys[0]}.png"
    assert capsys.readouterr().out == f"{path.name}\n"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert main(["runs", "curves", *keys, "--output", "new/all.svg"]) == 0
    assert "pre-trained, learning rate 0.003" in (tmp_path / "new" / "all.svg").read_text()
    for arguments, word in ((["zz"], "'zz'"), ([keys[0], "--output", "a.xyz"], "'xyz'")):
        capsys.readouterr()
        assert main(["runs", "curves", *arguments]) == 1
        assert word in capsys.readouterr().err


def test_records_are_drawn_too(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RECORDS", tmp_path / "records")
    monkeypatch.delenv(results.IGNORE, raising=False)
    record(trained[1], "laptop")
    monkeypatch.setattr(runner, "RUNS", tmp_path / "none")
    assert curves.save_curves([trained[1].key], tmp_path / "a.png").exists()
