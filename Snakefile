# The batch: every notebook of a scale by papermill, its runs dealt out by model and seed.
#
#   snakemake --cores 2 --config scale=smoke            what `make reproduce` does
#   snakemake --dry-run --config scale=laptop           what would be done; `python -m lib runs plan` says what it costs
#   snakemake --cores 2 --config scale=laptop train=1   what records do not have is trained; without it, left out
#   snakemake --workflow-profile profiles/slurm --config scale=paper train=1      on a cluster: docs/running.md
#
# Killed and started again it does what is missing: runs are stored as they finish and go on after their last epoch.

import os
import shlex
import sys
from pathlib import Path

import torch

from lib import paths
from lib.campaign import in_part, left_out, shard_minutes, shards
from lib.study.arms import LEAVE_OUT
from lib.study.cost import UNMEASURED, in_words, job_minutes
from lib.runs.results import IGNORE, RECORDS


def quoted(value):
    """`value` as one word of a shell command, in which snakemake fills in what stands in braces."""
    return shlex.quote(str(value)).replace("{", "{{").replace("}", "}}")


SCALE = str(config.get("scale", "laptop"))
FRESH = config.get("fresh") or os.environ.get(IGNORE, "")  # not empty: train what is recorded too
IGNORED = f"{IGNORE}={quoted(FRESH)}"
if FRESH:
    os.environ[IGNORE] = str(FRESH)  # what the jobs will take is estimated so too
TRAIN = config.get("train") or FRESH  # not empty: train what is neither stored nor recorded
NOTEBOOKS = sorted(path.stem for path in Path("notebooks").glob("[0-9]*.ipynb"))
RECORDED = not TRAIN and (RECORDS / SCALE).is_dir()
LEFT_OUT = left_out(SCALE, NOTEBOOKS) if RECORDED else {}
IN_PART = in_part(SCALE, LEFT_OUT)
OUTPUT = quoted(os.path.relpath(paths.FIGURES / SCALE))  # papermill writes it into the notebooks
WORK = paths.CACHE / "batch" / SCALE
if set("{}") & set(str(WORK)):
    raise ValueError(f"DENOISING_CACHE {paths.CACHE}: snakemake reads braces in a path as wildcards; name another folder")
SHARDS = [f"{model}-{seed}" for model, seed in shards(SCALE)]
if RECORDED:
    NOTEBOOKS, SHARDS = [name for name in NOTEBOOKS if name not in LEFT_OUT or name in IN_PART], []
CODE = sorted(str(path) for path in (paths.ROOT / "lib").rglob("*.py"))  # changed code looks at its runs again
LEDGER, ALONE = "09_what_was_reproduced", "08_settings_and_cost"  # that one measures speeds
# a cluster's user gives none, and its jobs, each a snakemake of its own, must not take their node's
CORES = (workflow.is_main_process and workflow.resource_settings.cores) or 1
ON_GPU = int(torch.cuda.is_available())
PYTHON = quoted(sys.executable)
# what a cluster's scheduler is asked for, times the attempt: a job that was stopped goes on with more
MEMORY, NOTEBOOK_MINUTES = 8000, 240  # MB, minutes


def minutes(wildcards, attempt):
    """Of `train`; not estimated again inside the job, which has been given its time."""
    estimated = workflow.is_main_process
    shard = SCALE, wildcards.model, int(wildcards.seed)
    return attempt * (job_minutes(shard_minutes(*shard)) if estimated else UNMEASURED)


# all is done: the next call looks at everything again, and finds its runs stored
onsuccess:
    for marker in [*WORK.glob("*.done"), *WORK.glob("*.trained")]:
        marker.unlink()
    for notebook, minutes in LEFT_OUT.items():
        done = "drawn in part" if notebook in IN_PART else "left out"
        print(f"{done}: {notebook}, {in_words(minutes)} to train: make reproduce SCALE={SCALE} TRAIN=1")


rule all:
    input:
        expand(f"{WORK}/{{notebook}}.done", notebook=NOTEBOOKS),


def there(kind):
    """The files of figures/<scale> with that ending; where there are none, the one that snakemake then calls missing."""
    return sorted(map(str, (paths.FIGURES / SCALE).glob(f"*.{kind}"))) or [f"{OUTPUT}/claims.{kind}"]


# what `make report` embeds: pictures and tables as they stand in figures/<scale>, beside what was run
rule shown:
    input:
        pictures=there("png"),
        tables=there("csv"),
    output:
        report(directory(f"{WORK}/pictures"), patterns=["{picture}.png"], category="Figures",
               labels={"figure": "{picture}"}),
        report(directory(f"{WORK}/tables"), patterns=["{table}.csv"], category="Tables", labels={"table": "{table}"}),
    shell:
        "mkdir -p {output:q} && cp {input.pictures:q} {output[0]:q} && cp {input.tables:q} {output[1]:q}"


rule train:
    input:
        CODE,
    output:
        touch(f"{WORK}/{{model}}-{{seed}}.trained"),
    log:
        f"{WORK}/{{model}}-{{seed}}.log",
    threads: 1
    resources:
        gpu=ON_GPU,  # `make` gives one: its runs take turns
        runtime=minutes,
        mem_mb=lambda w, attempt: attempt * MEMORY,
    message:
        f"runs of {{wildcards.model}}, seed {{wildcards.seed}}, scale {SCALE}; log: {{log}}"
    shell:
        f"{IGNORED} {PYTHON} -m lib runs train --scale {quoted(SCALE)} --model {{wildcards.model}} "
        "--seed {wildcards.seed} > {log:q} 2>&1"


rule notebook:
    input:
        notebook="notebooks/{notebook}.ipynb",
        parameters=f"notebooks/params/{SCALE}.yml",
        code=CODE,
        shards=expand(f"{WORK}/{{shard}}.trained", shard=SHARDS),
        # the ledger reads the others' tables
        tables=lambda w: [f"{WORK}/{n}.done" for n in NOTEBOOKS if n != LEDGER and w.notebook == LEDGER],
    output:
        touch(f"{WORK}/{{notebook}}.done"),
    params:
        missing=lambda w: f"-p missing {shlex.quote(LEAVE_OUT)}" if w.notebook in IN_PART else "",
    log:
        f"{WORK}/{{notebook}}.log",
    # recorded, up to four run side by side; else each shares out its own runs
    threads: lambda w: max(1, CORES // 4) if RECORDED and w.notebook != ALONE else CORES
    resources:
        runtime=lambda w, attempt: attempt * NOTEBOOK_MINUTES,
        mem_mb=lambda w, attempt: attempt * MEMORY,
    message:
        "notebook {input.notebook} with {input.parameters}; log: {log}"
    shell:
        f"mkdir -p {OUTPUT} && STATIC_NOTEBOOKS=1 {IGNORED} {PYTHON} -m papermill --log-level WARNING --no-progress-bar "
        "--start-timeout 600 "  # seconds: on a busy node a kernel takes its time
        f"-f {{input.parameters}} {{params.missing}} {{input.notebook}} {OUTPUT}/{{wildcards.notebook}}.ipynb > {{log:q}} 2>&1"
