"""The batch: its plan, a notebook that fails, and what is done when it is started again; with tiny notebooks."""

import base64
import os
import shlex
import subprocess
import sys

import nbformat
import pytest

from lib.campaign import shards
from lib.paths import ROOT
from lib.runs.results import IGNORE

BROKEN, WHOLE = "raise RuntimeError('broken on purpose')", "pass"


def write_notebook(path, source):
    """Leaves a line in ``executed``: its name, its parameter, and whether records are ignored; then ``source``."""
    code = f"""import os
with open("executed", "a") as file:
    print({path.stem!r}, scale, repr(os.environ["{IGNORE}"]), file=file)"""
    cells = [
        nbformat.v4.new_code_cell("scale = 'none'", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code),
        nbformat.v4.new_code_cell(source),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


@pytest.fixture
def project(tmp_path):
    """A folder, with a space in its name, with two notebooks, of which the first one is broken."""
    tmp_path = tmp_path / "a project"
    (tmp_path / "notebooks" / "params").mkdir(parents=True)
    write_notebook(tmp_path / "notebooks" / "00_broken.ipynb", BROKEN)
    write_notebook(tmp_path / "notebooks" / "01_whole.ipynb", WHOLE)
    for scale in ("smoke", "laptop"):
        (tmp_path / "notebooks" / "params" / f"{scale}.yml").write_text(f"scale: {scale}\n")
    return tmp_path


def markers(folder, scale):
    """The folder of the markers of what is done."""
    return folder / "cache" / "batch" / scale


def start(folder, *options):
    """Snakemake in ``folder``: its exit status, and what it printed."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder, *options]
    environment = {key: value for key, value in os.environ.items() if key != IGNORE}
    environment |= {"DENOISING_CACHE": str(folder / "cache"), "DENOISING_FIGURES": str(folder / "figures")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def options_of_make():
    """Those that ``make reproduce`` gives snakemake."""
    make = ["make", "--dry-run", "reproduce", "SCALE=smoke", "CORES=2", "FRESH="]
    said = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (words,) = [shlex.split(line) for line in said.splitlines() if "/snakemake " in line]
    (first,) = [k for k, word in enumerate(words) if word.endswith("/snakemake")]
    return words[first + 1 :]


def executed(folder):
    """What the notebooks left since the last call."""
    path = folder / "executed"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_dry_run_prints_the_plan_and_does_nothing(project):
    """Training by model and seed, and the notebooks with their parameters and logs."""
    code, said = start(project, "--dry-run", "--config", "scale=laptop", "train=1")
    assert code == 0, said
    for model, seed in shards("laptop"):
        log = markers(project, "laptop") / f"{model}-{seed}.log"
        assert f"runs of {model}, seed {seed}, scale laptop; log: {log}" in said
    for name in ("00_broken", "01_whole"):
        log = markers(project, "laptop") / f"{name}.log"
        assert f"notebook notebooks/{name}.ipynb with notebooks/params/laptop.yml; log: {log}" in said
    assert not list(markers(project, "laptop").glob("*"))
    assert not executed(project)
    code, said = start(project, "--dry-run", "--config", "scale=laptop")
    assert code == 0 and "01_whole" in said and "runs of" not in said, said  # there are records: nothing trains


def test_a_failing_notebook_is_named_and_alone_is_done_again(project):
    """Nothing trains: the markers of that are there."""
    work = markers(project, "smoke")
    work.mkdir(parents=True)
    for model, seed in shards("smoke"):
        (work / f"{model}-{seed}.trained").touch()
    code, said = start(project, *options_of_make(), "--prioritize", work / "00_broken.done")
    assert code == 1, said
    error = said[said.index("Error in rule notebook") :]
    (named,) = [line for line in error.splitlines() if line.strip().startswith("input: ")]
    assert "notebooks/00_broken.ipynb, notebooks/params/smoke.yml" in named
    assert f"log: {work / '00_broken.log'}" in error
    assert "RuntimeError: broken on purpose" in error  # the log is shown
    assert executed(project) == ["00_broken smoke ''", "01_whole smoke ''"]  # went on; records count
    assert (project / "figures" / "smoke" / "01_whole.ipynb").exists()

    write_notebook(project / "notebooks" / "00_broken.ipynb", WHOLE)
    code, said = start(project, *options_of_make())
    assert code == 0, said
    assert executed(project) == ["00_broken smoke ''"]
    assert "runs of" not in said
    assert not list(work.glob("*.done")) + list(work.glob("*.trained"))  # the next start looks at everything again


def report_steps(folder):
    """What ``make report`` gives snakemake, its page written into ``folder``."""
    make = ["make", "--dry-run", "report", "SCALE=smoke", "CORES=1"]
    said = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    steps = [shlex.split(line.partition("/snakemake ")[2]) for line in said.splitlines() if "/snakemake " in line]
    return [[str(folder / word) if word == "build/report.html" else word for word in step] for step in steps]


def test_the_report_has_pictures_and_tables_in_it(project):
    """One page that needs nothing beside it; where nothing was drawn yet, it says which picture is missing."""
    draw, write = report_steps(project)
    (project / "build").mkdir()
    code, said = start(project, *draw)
    assert code != 0
    assert "claims.png" in said
    figures = project / "figures" / "smoke"
    figures.mkdir(parents=True)
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    (figures / "energies.png").write_bytes(base64.b64decode(dot))
    (figures / "energies.csv").write_text("model,value\nEGNN,1.5\n")
    for step in (draw, write):
        code, said = start(project, *step)
        assert code == 0, said
    page = (project / "build" / "report.html").read_text()
    assert dot in page
    assert page.count("data:image/png") == 1
    assert '"table": "energies"' in page
