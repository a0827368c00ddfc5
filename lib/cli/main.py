"""The command line: `main` runs one command of ``python -m lib``; the modules beside this one hold the commands."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer._click.exceptions import NoArgsIsHelpError, UsageError

from lib.cli import batch, bench, data, evaluate, export, mini_suite, own, run
from lib.cli.parsing import NAME, SeveralValues, new_group
from lib.errors import TrainingError

SCRIPT = "denoising"  # the installed command, for which a shell can complete commands
SIGNALLED = 128  # and the number of the signal, the status of a process that a signal ended
INTERRUPTED, TERMINATED = SIGNALLED + signal.SIGINT, SIGNALLED + signal.SIGTERM
STOPPED = "stopped: what is finished is kept, and the same command goes on from the last checkpoint\n"
app = new_group(
    "Denoising pre-training for neural potentials: data, runs, your own molecules.\n\n"
    "Every command explains its options, their units and defaults with --help.",
    completion=Path(sys.argv[0]).stem == SCRIPT,
)
app.add_typer(data.app, name="data")
app.command("mini-suite", epilog=mini_suite.EPILOG)(mini_suite.mini_suite)
app.add_typer(batch.app, name="runs")  # the group of lib.cli.runs, which batch adds commands to
app.command("run", epilog=run.EPILOG)(run.run)
app.command("pretrain", epilog=own.PRETRAIN_EPILOG)(own.pretrain)
app.command("finetune", cls=SeveralValues, epilog=own.FINETUNE_EPILOG)(own.finetune)
app.command("evaluate", cls=SeveralValues, epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command("export", epilog=export.EPILOG)(export.export)
app.add_typer(bench.app, name="bench")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: of the command line; those of this process by default.

    Returns:
        0; 1 after an error of input, which is one line on stderr; 2 after a usage error (an unknown option …); 130
        after Ctrl-C.

    Raises:
        SystemExit: with status 143, where the process is asked to end (SIGTERM).
    """
    if arguments is None:
        _write_in_any_locale()
        signal.signal(signal.SIGTERM, _end)
    try:
        status = typer.main.get_command(app)(arguments, prog_name=_program(), standalone_mode=False)
    except UsageError as error:
        return _usage_error(error)
    except (ValueError, OSError, TrainingError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 1
    except SystemExit as end:
        if end.code == TERMINATED:
            sys.stderr.write(STOPPED)
        raise
    if status == INTERRUPTED:
        sys.stderr.write(STOPPED)
    return status if isinstance(status, int) else 0


def _end(number: int, frame: Any) -> NoReturn:
    """End with the status that says by which signal, so that what is open is closed and other processes are ended."""
    raise SystemExit(SIGNALLED + number)


def _program() -> str:
    """How this process was called, for ``--help``, and for the shell that completes `SCRIPT`."""
    return SCRIPT if Path(sys.argv[0]).stem == SCRIPT else NAME


def _usage_error(error: UsageError) -> int:
    """One line that says where to read more; the help itself where no command was given."""
    if isinstance(error, NoArgsIsHelpError):
        error.show()
    else:
        text = error.format_message().rstrip(".")
        command = NAME if error.ctx is None else error.ctx.command_path
        sys.stderr.write(f"error: {' '.join(text.split())}; see {command} --help\n")
    return error.exit_code


def _write_in_any_locale() -> None:
    """Write characters that the locale's encoding lacks (Å, σ) as escapes instead of stopping at them."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
