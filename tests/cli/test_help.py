"""The help of every command, the exit statuses, and several values after one option."""

import os
import re
import subprocess
import sys
import tomllib

import pytest
import typer

from lib.cli.main import app, main
from lib.cli.parsing import spread
from lib.models import MODELS
from lib.paths import ROOT
from lib.study.scales import SCALES

SEEDS = {"--seeds"}


def all_commands(group=None, path=()):
    """Every command with the words that call it."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from all_commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(all_commands())


def test_the_commands_are_those_that_readers_know():
    assert {" ".join(words) for words in COMMANDS} == {
        "data list", "data fetch", "data verify", "data convert", "data select", "mini-suite", "run", "pretrain",
        "finetune", "evaluate", "export", "runs list", "runs show", "runs curves", "runs verify", "runs gc",
        "runs record", "runs train", "runs trials", "runs plan", "bench data", "bench gpu",
        "bench inference", "bench models", "bench rehearsal",
    }  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_explains_every_option_and_gives_an_example(words, capsys):
    assert main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    for param in COMMANDS[words].params:
        name = param.opts[0] if param.opts[0].startswith("--") else param.metavar
        assert name in text
        assert param.help, f"{name} has no help"
    assert f"python -m lib {' '.join(words)}" in text.split("Example", 1)[1]
    assert not {"<list", "<str", "<path", "<int", "<float"} & {word.split("[")[0].rstrip(">") for word in text.split()}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["run", "--model", "egnn", "--learning"], "No such option: --learning"),
        (["run"], "Missing option '--model'"),
        (["run", "--model", "egnn", "--seed", "one"], "--seed"),
        (["bench", "models", "--device", "tpu"], "--device"),
        (["finetune", "--data", str(ROOT / "README.md"), "--energy-unit", "eV", "--seeds"], "--seeds"),
        (["finetune", "--data", str(ROOT / "README.md"), "--energy-unit", "eV", "--from-scratch", "--pretrain-on",
          str(ROOT / "README.md")], "exclude each other"),
    ],
)  # fmt: skip
def test_usage_errors_are_one_line_and_status_2(arguments, word, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert word in captured.err
    assert "--help" in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "known"), [({"--model"}, MODELS), ({"--scale", "--scales"}, SCALES)], ids=["models", "scales"]
)
def test_help_lists_all_models_and_scales(options, known):
    """Where it lists any."""
    texts = [p.help for command in COMMANDS.values() for p in command.params if options & set(p.opts)]
    lists = [text for text in texts if "egnn" in text or "smoke" in text]
    assert lists
    for text in lists:
        assert set(known) <= set(re.findall(r"\w+", text)), text


def test_options_that_remedies_name_exist():
    """As ``energy_unit (--energy-unit)``: the argument of Python, which the name in brackets must follow."""
    known = {option for command in COMMANDS.values() for param in command.params for option in param.opts}
    named = [
        found.groups()
        for room in ("data", "own")
        for path in sorted((ROOT / "lib" / room).rglob("*.py"))
        for found in re.finditer(r"(\w+) \((--[a-z][a-z0-9-]*)\b", path.read_text(encoding="utf-8"))
    ]
    assert {"--energy-unit", "--energy-key", "--forces-key", "--level"} <= {option for _, option in named}
    assert not [option for _, option in named if option not in known]
    assert not [each for each in named if "_" in each[0] and f"--{each[0].replace('_', '-')}" != each[1]]


@pytest.mark.parametrize("arguments", [[], ["runs"], ["data"], ["bench"]])
def test_without_a_command_the_help_is_shown(arguments, capsys):
    assert main(arguments) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ("--seeds 0 1 2", "--seeds 0 --seeds 1 --seeds 2"),
        ("--seeds 0 1 --check 5", "--seeds 0 --seeds 1 --check 5"),
        ("--seeds=3 4", "--seeds=3 --seeds 4"),
        ("--seeds 0 -1", "--seeds 0 --seeds -1"),
        ("--seeds 0 --seeds 1", "--seeds 0 --seeds 1"),
        ("--seeds", "--seeds"),
        ("--data 0 1", "--data 0 1"),
    ],
)
def test_several_values_after_one_option(given, parsed):
    assert spread(given.split(), SEEDS) == parsed.split()


def python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, env=os.environ | environment
    )


def test_help_loads_nothing_that_is_slow():
    code = (
        "import sys; from lib.cli.main import main; main(['--help']); "
        "print(sorted({'torch', 'lightning', 'rdkit', 'numpy', 'rich'} & set(sys.modules)))"
    )
    assert python(code).stdout.strip().endswith("[]")


def test_output_works_in_a_locale_without_its_characters():
    code = (
        "import sys; from lib.cli.main import app, main; text = '0.2 \\u00c5, \\u03c3\\n'; "
        "app.command('say')(lambda: sys.stdout.write(text) and None); sys.exit(main())"
    )
    done = python(code, "say", PYTHONUTF8="0", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "0.2 \\xc5, \\u03c3\n")


@pytest.mark.parametrize("variable", ["DENOISING_CACHE", "DENOISING_FIGURES"])
def test_an_empty_folder_variable_is_refused(variable):
    done = subprocess.run(
        [sys.executable, "-m", "lib", "runs", "list"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {variable: ""},
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {variable} is set and empty: name a folder, or unset it")
    assert len(done.stderr.splitlines()) == 1


def test_the_script_is_the_command_line_and_can_be_completed():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"denoising": "lib.cli.main:main"}
    code = "import sys; sys.argv[0] = '/bin/denoising'; from lib.cli.main import main; sys.exit(main())"
    done = python(code, _DENOISING_COMPLETE="complete_bash", COMP_WORDS="denoising runs ver", COMP_CWORD="2")
    assert done.stdout.split() == ["verify"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["finetune", "--data", "a.xyz", "--data=b.xyz"],
        ["run", "--scale", "smoke", "--scale", "laptop"],
        ["data", "convert", "ani1", "a", "b", "--force", "--force"],
    ],
)
def test_an_option_that_is_given_twice_is_refused(arguments, capsys):
    """Else the first would be lost without a word."""
    assert main(arguments) == 2
    name = next(each for each in arguments if each.startswith("--"))
    assert f"error: {name} is given 2 times: give it once" in capsys.readouterr().err


def test_options_of_several_values_may_be_given_twice(capsys):
    assert main(["evaluate", "--weights", "a.safetensors", "--weights", "b.safetensors", "--data", "no.xyz"]) == 1
    assert "--data no.xyz: it is not there" in capsys.readouterr().err
