"""The batch and a run on two nodes, on a SLURM cluster that dies in parts: `make test-slurm`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from cluster import NODES, PARTITION, Cluster, wait_until, why_not
from filelock import FileLock

from lib.campaign import shards
from lib.paths import ROOT
from lib.study.cells import Cell
from lib.study.scales import get_scale

JOBS = (("schnet", 1), ("egnn", 1))  # without the first seed's large molecules
HELD = "spice"  # the data set whose runs wait until the test lets them; others are trained before them
NOTEBOOKS = ("02_ani1_and_ani1x",)
PARAMETERS = """\
scale: smoke
models: [schnet, egnn]
seeds: [1]
model: schnet
systems: [Ac-Ala3-NHMe]
"""  # each notebook takes its own
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", "Snakefile", "--config", "scale=smoke", "train=1"]
ON_SLURM = [
    *("--workflow-profile", "profiles/slurm", "--default-resources", f"slurm_partition={PARTITION}"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3"),
]
STARTED = time.monotonic()


def say(text):
    """A line of the transcript, which `make test-slurm` shows."""
    print(f"[{time.monotonic() - STARTED:4.0f} s] {text}", flush=True)  # noqa: T201


@pytest.fixture(scope="module")
def cluster():
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:  # short: sockets have short names
        cluster = Cluster(Path(folder))
        try:
            cluster.start()
            say(f"a cluster of {len(NODES)} nodes in {folder}\n{cluster.ask('sinfo')}")
            yield cluster
        except TimeoutError:
            say(cluster.logs())
            raise
        finally:
            cluster.stop()


class Batch:
    """A part of the smoke batch, in a folder with its notebooks and a cache of its own."""

    def __init__(self, folder, environment):
        self.folder, self.runs, self.work = folder, folder / "cache" / "runs", folder / "cache" / "batch" / "smoke"
        (folder / "notebooks" / "params").mkdir(parents=True)
        (folder / "notebooks" / "params" / "smoke.yml").write_text(PARAMETERS)
        for name in NOTEBOOKS:
            shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", folder / "notebooks")
        self.work.mkdir(parents=True)
        for model, seed in set(shards("smoke")) - set(JOBS):
            (self.work / f"{model}-{seed}.trained").touch()
        self.environment = environment | {
            "DENOISING_CACHE": str(folder / "cache"),
            "DENOISING_FIGURES": str(folder / "figures"),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "CI": "1",  # no bars
            "GLOO_SOCKET_IFNAME": "lo",
        }

    @contextmanager
    def held(self):
        """No job of `JOBS` can end inside: each waits for one of its runs, which the test seems to be training."""
        scale = get_scale("smoke")
        self.runs.mkdir(parents=True, exist_ok=True)
        with ExitStack() as locks:
            for model, seed in JOBS:
                config = scale.finetune(Cell(model, HELD, False), scale.rates_of(HELD)[0], seed)
                locks.enter_context(FileLock(self.runs / f".{config.key()}.lock"))
            yield

    def start(self, *options):
        """Snakemake, in the background; its output is added to a log."""
        with open(self.folder / "log", "a") as log:
            command = [*SNAKEMAKE, "--directory", str(self.folder), *options]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        return self.process

    def wait_until(self, what, happened):
        """While snakemake runs."""

        def check():
            assert self.process.poll() is None, self.log()
            return happened()

        wait_until(what, check, 1200)

    def interrupt(self):
        """Ctrl-C, and again where snakemake has not noticed it: the first was lost once."""
        for _ in range(3):
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(100)
                return
        raise AssertionError(f"snakemake goes on after Ctrl-C: {self.log()}")

    def log(self):
        return (self.folder / "log").read_text()[-6000:]

    def results(self):
        """Metrics by key of the runs that are finished."""
        return {key: result["metrics"] for key, result in self._stored().items()}

    def finished(self, model):
        """How many runs of ``model`` are finished."""
        return sum(result["about"]["config"]["model"] == model for result in self._stored().values())

    def _stored(self):
        finished = self.runs.glob("[!.]*/result.json")
        return {path.parent.name: json.loads(path.read_text()) for path in finished}


def running(cluster, model):
    """The node and the number of the job that trains ``model``; nothing where none does."""
    lines = cluster.ask("squeue", "--noheader", "--states", "RUNNING", "--format", "%i %N %k").splitlines()
    return next(((node, job) for job, node, what in map(str.split, lines) if f"_{model}_" in what), None)


def job_of(cluster, batch, model):
    """`running`, when it does."""
    jobs = []
    batch.wait_until(f"{model} is trained", lambda: jobs.append(running(cluster, model)) or jobs[-1])
    return jobs[-1]


def test_a_batch_that_loses_a_job_and_a_node_ends_with_the_results_of_a_quiet_one(cluster, tmp_path):
    """Then it is interrupted, and started again as a user does."""
    batch, quiet = Batch(tmp_path / "slurm", cluster.environment), Batch(tmp_path / "quiet", cluster.environment)
    with batch.held():
        batch.start(*ON_SLURM)
        try:
            disturb(cluster, batch)
        finally:
            batch.interrupt()
    assert batch.process.returncode != 0 and not list(batch.work.glob("*.done")), batch.log()
    left = cluster.ask("squeue", "--noheader") or "no jobs left"
    say(f"snakemake interrupted with {len(batch.results())} runs finished; {left}")
    say("the batch is started again")
    batch.start(*ON_SLURM)
    train = [sys.executable, "-m", "lib", "runs", "train", "--scale", "smoke"]
    for model, seed in JOBS:
        command = [*train, "--model", model, "--seed", str(seed)]
        subprocess.run(command, cwd=ROOT, env=quiet.environment, stdout=subprocess.DEVNULL, check=True)
    assert batch.process.wait(3000) == 0, batch.log()
    for name in NOTEBOOKS:
        assert (batch.folder / "figures" / "smoke" / f"{name}.ipynb").exists()
    say(f"finished: {len(batch.results())} runs, notebooks {', '.join(NOTEBOOKS)}")
    compare(quiet.results(), batch.results())


def compare(expected, got):
    """The same keys, and the same metrics."""
    assert len(expected) > 20 and expected.keys() <= got.keys()  # the notebook trains controls too
    same = [key for key in expected if got[key] == expected[key]]
    say(f"without SLURM: {len(expected)} runs, the same keys, {len(same)} of them with the same metrics to the bit")
    for key, metrics in expected.items():
        assert got[key] == pytest.approx(metrics, rel=1e-6), key


def disturb(cluster, batch):
    """Cancel a job and end the node of the other one, with all that runs on it, in the middle of their work; bring the
    node back. Both jobs have runs behind them and before them then, since `Batch.held` lets neither end.
    """
    (one, _), (other, _) = JOBS
    batch.wait_until("both jobs have finished a run", lambda: all(batch.finished(model) for model, _ in JOBS))
    (_, cancelled), (node, lost) = (job_of(cluster, batch, model) for model, _ in JOBS)
    cluster.ask("scancel", cancelled)
    cluster.kill_node(node)
    say(f"scancel {cancelled} ({one}), node {node} killed with {lost} ({other}), {len(batch.results())} runs finished")
    batch.wait_until("SLURM notices", lambda: "down" in cluster.state(node))
    say(f"SLURM has noticed\n{cluster.ask('sinfo')}")
    cluster.start_node(node)
    batch.wait_until("the node is back", lambda: cluster.state(node) in ("idle", "allocated"))
    batch.wait_until("it is submitted again", lambda: (running(cluster, one) or (0, cancelled))[1] != cancelled)
    queue = ""

    def asks_for_more():
        """Whether the cancelled job has more time and memory than the one that SLURM has queued again."""
        nonlocal queue
        queue = cluster.ask("squeue", "--format", "%i %N %T %r %l %m %k")
        return "1:00:00 16000M" in queue and " 30:00 8000M" in queue

    batch.wait_until("it asks for more than the other one", asks_for_more)
    say(f"the node is back, and snakemake has submitted the cancelled job again\n{queue}")


def test_two_nodes_train_as_one(cluster, tmp_path):
    """The script that docs/running.md names: one process a node, which meet by the first node's name."""
    arguments = ["--scale", "smoke", "--model", "schnet", "--accelerator", "cpu"]
    both = Batch(tmp_path / "both", cluster.environment)
    script = ["sbatch", "--wait", "--nodes", "2", "--output", str(tmp_path / "log"), "profiles/slurm/together.sh"]
    subprocess.run([*script, *arguments], cwd=ROOT, env=both.environment, timeout=900)
    log = (tmp_path / "log").read_text()
    ((key, metrics),) = both.results().items() or pytest.fail(log)
    assert len([line for line in log.splitlines() if line.startswith(key)]) == 1, (
        log
    )  # one of the two processes says it
    one = Batch(tmp_path / "one", dict(os.environ))
    command = [sys.executable, "-m", "lib", "run", *arguments]
    subprocess.run(command, cwd=ROOT, env=one.environment, timeout=900, check=True)
    say(f"two nodes: {key} {metrics}\none process: {one.results()}")
    assert metrics == pytest.approx(one.results()[key], rel=1e-5)
