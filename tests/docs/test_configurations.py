"""What other machines read (workflows, devcontainer, Binder, citation) names commands and files that are there."""

import json
import re
import tomllib

import pytest
import yaml

from lib.paths import ROOT

TARGETS = set(re.findall(r"^([\w.-]+)(?: [\w.-]+)*:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def made(command):
    """The targets that a command line gives ``make``."""
    words = [re.sub(r"^make |\w+=\S+|-\S+", "", part).split() for part in re.findall(r"^make [^;&|\n]*", command, re.M)]
    return [target for part in words for target in part]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_workflows_run_what_is_there(path):
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
    commands = [step["run"] for step in steps if "run" in step]
    assert all(target in TARGETS for command in commands for target in made(command))
    assert all((ROOT / script).exists() for command in commands for script in re.findall(r"^bash (\S+)", command, re.M))
    assert all(job["needs"] in jobs for job in jobs.values() if "needs" in job)
    least, _, most = PROJECT["requires-python"].partition(",")
    for job in jobs.values():
        for version in job.get("strategy", {}).get("matrix", {}).get("python", []):
            minor = int(version.partition(".")[2])
            assert int(least.rpartition(".")[2]) <= minor < int(most.rpartition(".")[2])


def test_the_devcontainer_builds_from_files_that_are_there():
    folder = ROOT / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text(encoding="utf-8"))
    assert (folder / container["build"]["dockerfile"]).exists()
    for command in (container["postCreateCommand"], container["postAttachCommand"]):
        assert made(command)
        assert set(made(command)) <= TARGETS
    assert "make" in (folder / "Dockerfile").read_text(encoding="utf-8").split()


def test_binder_installs_what_the_lock_has():
    environment = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text(encoding="utf-8"))
    assert any(str(package).startswith("pytorch") for package in environment["dependencies"])
    script = ROOT / "binder" / "postBuild"
    assert script.stat().st_mode & 0o100, "Binder runs postBuild only where it may be executed"
    text = script.read_text(encoding="utf-8")
    assert "requirements.lock" in text
    (extra,) = re.findall(r"'\.\[(\w+)\]'", text)
    assert extra in PROJECT["optional-dependencies"]
    assert "torch==" in (ROOT / "requirements.lock").read_text(encoding="utf-8"), "which postBuild leaves out"


def test_citation_and_archive_have_the_version_and_licence_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    archive = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert citation["version"] == archive["version"] == PROJECT["version"]
    assert citation["license"] == archive["license"] == "MIT"
    assert citation["title"] == archive["title"]
    (related,) = archive["related_identifiers"]
    assert related["identifier"] == citation["preferred-citation"]["doi"]
