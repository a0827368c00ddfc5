"""The commands for stored runs: list, show, draw, check, clear and record them."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from lib.cli.options import Force
from lib.cli.parsing import examples, new_group
from lib.cli.targets import check_file

app = new_group("See, check and record what is stored; train the runs of a scale, and say what they cost.")


@app.command("list", epilog=examples("runs list"))
def list_runs() -> None:
    """List the stored results with their metrics and units.

    What lies in the run store and cannot be read is named on stderr.
    """
    from lib.runs.integrity import readable
    from lib.training.metrics import in_words

    good, bad = readable()
    for result in good:
        metrics, config = in_words(result.metrics, result.about["units"]), result.about["config"]
        sys.stdout.write(f"{result.key} {config['task']} {config['model']} seed {config['seed']}: {metrics}\n")
    for problem in bad.values():
        sys.stderr.write(f"warning: {problem}\n")


@app.command("show", epilog=examples("runs show 3f2a91"))
def show_run(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Of a stored run, or its beginning; or of a recorded one.")],
) -> None:
    """Print everything that is known of one result, as JSON.

    These are its metrics, settings, splits, provenance and time.
    """
    from lib.runs.integrity import find_readable

    result = find_readable(key)
    text = json.dumps({"key": result.key, "metrics": result.metrics, **result.about}, indent=1)
    sys.stdout.write(text + "\n")


@app.command("curves", epilog=examples("runs curves 3f2a91", "runs curves 3f2a91 77c0de --output curves.svg"))
def draw_curves(
    keys: Annotated[
        list[str], typer.Argument(metavar="KEY", help="Of stored runs, or their beginnings; or of records.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Figure to write: .png, .svg or .pdf.", show_default="curves-KEY.png"
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Draw the validation metric of runs by epoch."""
    from lib.report.figures.curves import save_curves

    if output is not None:
        check_file("--output", output, force)
    sys.stdout.write(f"{save_curves(keys, output)}\n")


@app.command("verify", epilog=examples("runs verify"))
def verify_runs() -> None:
    """Check every stored result and every record.

    Files are compared with their checksums, settings with their key, weights with the settings; metrics are computed
    again from the predictions, or from the recorded errors.
    """
    from lib.runs.integrity import GOOD, verify, verify_records

    verdicts, records = verify(), verify_records()
    for key, verdict in verdicts.items():
        sys.stdout.write(f"{key}: {verdict}\n")
    broken = {key: verdict for key, verdict in records.items() if verdict not in GOOD}
    for key, verdict in broken.items():
        sys.stdout.write(f"record {key}: {verdict}\n")
    sys.stdout.write(f"records: {len(records) - len(broken)} of {len(records)} whole\n")
    wrong = sum(verdict not in GOOD for verdict in verdicts.values())
    if wrong:
        raise ValueError(f"{wrong} of {len(verdicts)} runs are not whole: remove their folders")
    if broken:
        raise ValueError(
            f"{len(broken)} of {len(records)} records are not whole: git checkout data/results data/weights"
        )


@app.command("gc", epilog=examples("runs gc"))
def collect_runs() -> None:
    """Remove unfinished runs and results of other versions.

    Runs that a process is training stay, and so does everything that is not a run.
    """
    from lib.runs.integrity import collect

    for path in collect():
        sys.stdout.write(f"removed {path}\n")


@app.command(
    "record",
    epilog=examples("runs record laptop --weights", "runs record laptop 3f2a91", "runs record trials --trials laptop"),
)
def record_runs(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Folder of data/results to write, such as a scale.")],
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY", help="Of the runs, or their beginnings.", show_default="the scale's that are stored"
        ),
    ] = None,
    weights: Annotated[
        bool, typer.Option("--weights", help="Ship pre-trained weights too; of a scale, those to be shipped.")
    ] = False,
    trials: Annotated[
        str | None,
        typer.Option("--trials", metavar="SCALE", help="Record what this scale's trials have stored, in place of KEY."),
    ] = None,
) -> None:
    """Write stored results to data/results/NAME.

    From these records everyone draws the same tables and figures.
    """
    from lib.campaign import shipped, stored_of
    from lib.runs.integrity import find_whole, refuse_broken
    from lib.runs.results import record, ship_weights
    from lib.study.questions import trials_of
    from lib.study.trials import results_to_record

    if Path(name).name != name or name.startswith("."):
        raise ValueError(f"NAME {name}: give the plain name of a folder in data/results, such as laptop")
    if keys and trials:
        raise ValueError("KEY and --trials: give one of them")
    if trials:
        of_trials = {r.key: r for trial in trials_of(trials) for r in results_to_record(trial)}
        results = list(of_trials.values())
    else:
        results = [find_whole(key) for key in keys or ()] or stored_of(name)
    pretrained = {result.key for result in results if result.about["config"]["task"] == "denoising"}
    to_ship = pretrained if keys or trials else shipped(name)
    for result in results:
        refuse_broken(result)
        sys.stdout.write(f"{record(result, name)}\n")
        if weights and result.key in to_ship:
            sys.stdout.write(f"{ship_weights(result)}\n")
