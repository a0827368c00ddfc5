"""The command line: ``python -m lib data|mini-suite|run|runs|pretrain|finetune|export|bench …``.

Each ``--help`` says more.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli import data, own
from lib.errors import TrainingError, look_up
from lib.paths import DATA


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors of input end with one line and exit status 1."""
    parser = argparse.ArgumentParser(prog="python -m lib", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    data.add_commands(commands)
    _add_mini_suite(commands)
    _add_runs(commands)
    _add_run(commands)
    own.add_commands(commands)
    _add_export(commands)
    _add_bench(commands)
    options = parser.parse_args(arguments)
    try:
        options.function(options)
    except (ValueError, OSError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (a command line prints)
        return 1
    return 0


def _add_mini_suite(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("mini-suite", help="make the mini suite again (minutes, all cores)")
    parser.add_argument("names", nargs="*", help="data sets; default: all, and the reference energies")
    parser.add_argument("--output", type=Path, default=DATA / "mini", help="folder to write (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="another seed than the shipped suite's")
    parser.add_argument("--processes", type=int, help="default: all cores")
    parser.set_defaults(function=_mini_suite)


def _add_runs(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("runs", help="what is stored, and what a scale costs")
    actions = parser.add_subparsers(required=True, metavar="action")
    actions.add_parser("list", help="stored results").set_defaults(function=_list_runs)
    show = actions.add_parser("show", help="all that is known of one result")
    show.add_argument("key", help="of the run, or its beginning")
    show.set_defaults(function=_show_run)
    curves = actions.add_parser("curves", help="draw the validation metric by epoch")
    curves.add_argument("keys", nargs="+", metavar="KEY", help="of the runs, or their beginnings")
    curves.add_argument("--output", type=Path, metavar="FILE", help="default: curves-KEY.png")
    curves.set_defaults(function=_draw_curves)
    actions.add_parser("verify", help="check every stored result").set_defaults(function=_verify_runs)
    actions.add_parser("gc", help="remove unfinished runs that nobody trains, and other versions'").set_defaults(
        function=_collect_runs
    )
    keep = actions.add_parser("record", help="write stored results to data/results/NAME")
    keep.add_argument("name", help="for example a scale")
    keep.add_argument("keys", nargs="*", help="of the runs, or their beginnings; none: a scale's that are stored")
    keep.add_argument(
        "--weights", action="store_true", help="ship pre-trained weights too, of a scale those to be shipped"
    )
    keep.set_defaults(function=_record_runs)
    train = actions.add_parser("train", help="what the batch gives one job: a scale's runs of one model and seed")
    train.add_argument("--scale", default="smoke")
    train.add_argument("--model", required=True)
    train.add_argument("--seed", type=int, required=True)
    train.add_argument("--workers", type=int, default=1, help="processes")
    train.set_defaults(function=_train_shard)
    plan = actions.add_parser("plan", help="runs of a scale, those stored, and the core-minutes of the others")
    plan.add_argument("--scale", default="smoke")
    plan.set_defaults(function=_plan)


def _add_run(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("run", help="train one run of a scale; under torchrun, with several processes")
    parser.add_argument("--scale", default="smoke")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", help="energies of this data set (ani1x, md22/DHA …); without it, pre-training")
    parser.add_argument("--pretrained", action="store_true", help="start from the pre-training of the same seed")
    parser.add_argument("--learning-rate", type=float, help="of the energies; default: the scale's first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--devices", type=int, default=1, help="processes on each node")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--precision", default="32-true", help="32-true, bf16-mixed or 16-mixed")
    parser.add_argument("--accumulate", type=int, default=1, help="pieces of a step's batch")
    parser.add_argument("--compile", action="store_true", help="fuse layers with torch.compile")
    parser.add_argument("--tensorboard", action="store_true", help="a TensorBoard log in the run's folder")
    parser.set_defaults(function=_run)


def _add_export(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("export", help="write a run's weights for others, as one safetensors file")
    parser.add_argument("run", help="key of a stored run, or its beginning")
    parser.add_argument("file", type=Path, nargs="?", help="default: MODEL-TASK-KEY.safetensors")
    parser.set_defaults(function=_export)


def _add_bench(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("bench", help="measure on this machine")
    actions = parser.add_subparsers(required=True, metavar="what")
    data = actions.add_parser("data", help="conversion and loading, one core")
    data.add_argument("--conformations", type=int, default=5_000_000)
    data.add_argument("--seconds", type=float, default=10.0, help="how long each kind of batch is drawn")
    data.add_argument("--json", type=Path, help="write the numbers here too")
    data.set_defaults(function=_bench_data)
    models = actions.add_parser("models", help="training steps and inference beside textbook versions, one thread")
    models.add_argument("--scales", nargs="+", default=["paper", "laptop"], help="whose widths")
    models.add_argument("--models", nargs="+", help="default: all")
    models.add_argument("--batch-size", type=int, default=64)
    models.add_argument("--seconds", type=float, default=20.0, help="for each model and task")
    models.add_argument("--device", default="cpu", help="cpu or cuda")
    models.add_argument("--sizes", nargs="*", type=int, help="atoms, of inference with forces")
    models.add_argument("--compile", action="store_true", help="fuse our layers with torch.compile")
    models.add_argument("--alone", action="store_true", help="ours beside nothing")
    models.add_argument("--precision", choices=["float32", "bfloat16"], default="float32", help="of training steps")
    models.add_argument("--json", type=Path, help="write the numbers here too")
    models.set_defaults(function=_bench_models)


def _mini_suite(options: argparse.Namespace) -> None:
    from lib.mini_suite.build import RECIPES, SEED, build, build_reference_energies

    for name in options.names:
        look_up(RECIPES, name, "mini data set")  # before anything is made
    if not options.names:
        build_reference_energies(options.output)
    for name in options.names or RECIPES:
        build(name, options.output, SEED if options.seed is None else options.seed, options.processes)


def _list_runs(_: argparse.Namespace) -> None:
    from lib.runs.runner import all_stored

    for result in all_stored():
        metrics = ", ".join(f"{k} {v:.4g} {result.about['units'][k]}" for k, v in result.metrics.items())
        config = result.about["config"]
        sys.stdout.write(f"{result.key} {config['task']} {config['model']} seed {config['seed']}: {metrics}\n")


def _run(options: argparse.Namespace) -> None:
    from lib.runs.runner import run
    from lib.study.cells import Cell
    from lib.study.scales import get_scale
    from lib.training.fit import Execution

    scale = get_scale(options.scale)
    if options.data is None:
        config = scale.pretrain(options.model, options.seed)
    else:
        rate = options.learning_rate or scale.rates_of(options.data)[0]
        config = scale.finetune(Cell(options.model, options.data, options.pretrained), rate, options.seed)
    result = run(config, Execution(
        progress=sys.stderr.isatty(), accelerator=options.accelerator, compiled=options.compile,
        tensorboard=options.tensorboard,
        accumulate=options.accumulate, devices=options.devices, nodes=options.nodes, precision=options.precision,
    ))  # fmt: skip
    sys.stdout.write(f"{result.key} {json.dumps(result.metrics)}\n")


def _train_shard(options: argparse.Namespace) -> None:
    from lib.campaign import train_shard
    from lib.models import entry

    entry(options.model)
    for result in train_shard(options.scale, options.model, options.seed, options.workers):
        sys.stdout.write(f"{result.key} {result.source} {json.dumps(result.metrics)}\n")


def _show_run(options: argparse.Namespace) -> None:
    from lib.runs.upkeep import find_result

    result = find_result(options.key)
    sys.stdout.write(json.dumps({"key": result.key, "metrics": result.metrics, **result.about}, indent=1) + "\n")


def _draw_curves(options: argparse.Namespace) -> None:
    from lib.report.figures.curves import save_curves

    sys.stdout.write(f"{save_curves(options.keys, options.output)}\n")


def _verify_runs(_: argparse.Namespace) -> None:
    from lib.runs.upkeep import WHOLE, verify

    verdicts = verify()
    for key, verdict in verdicts.items():
        sys.stdout.write(f"{key}: {verdict}\n")
    broken = sum(verdict != WHOLE for verdict in verdicts.values())
    if broken:
        raise ValueError(f"{broken} of {len(verdicts)} runs are not whole: remove their folders")


def _collect_runs(_: argparse.Namespace) -> None:
    from lib.runs.upkeep import collect

    for path in collect():
        sys.stdout.write(f"removed {path}\n")


def _record_runs(options: argparse.Namespace) -> None:
    from lib.campaign import shipped, stored_of
    from lib.runs.results import record, ship_weights
    from lib.runs.upkeep import find_result

    results = [find_result(key) for key in options.keys] or stored_of(options.name)
    pretrained = {result.key for result in results if result.about["config"]["task"] == "denoising"}
    weights = pretrained if options.keys else shipped(options.name)
    for result in results:
        sys.stdout.write(f"{record(result, options.name)}\n")
        if options.weights and result.key in weights:
            sys.stdout.write(f"{ship_weights(result)}\n")


def _export(options: argparse.Namespace) -> None:
    from lib.models.weights import export_weights
    from lib.runs.upkeep import find_result

    result = find_result(options.run)
    config = result.about["config"]
    path = options.file or Path(f"{config['model']}-{config['task']}-{result.key}.safetensors")
    export_weights(result.weights(), result.about, result.key, path)
    sys.stdout.write(f"{path}\n")


def _bench_models(options: argparse.Namespace) -> None:
    import torch

    from lib.bench.models import SIZES, bench_models, tables, without_nan
    from lib.models import MODELS, entry

    names = options.models or list(MODELS)
    for name in names:
        entry(name)
    sizes = SIZES if options.sizes is None else options.sizes
    found = bench_models(options.scales, names, options.batch_size, options.seconds, options.device, sizes,
                         options.compile, getattr(torch, options.precision), options.alone)  # fmt: skip
    sys.stdout.write(tables(found) + "\n")
    if options.json is not None:
        options.json.write_text(json.dumps(without_nan(found), indent=1) + "\n", encoding="utf-8")


def _bench_data(options: argparse.Namespace) -> None:
    from lib.bench.data import bench_data
    from lib.runs.provenance import provenance

    found = bench_data(options.conformations, options.seconds)
    if options.json is not None:
        options.json.write_text(json.dumps(found | {"provenance": provenance("cpu")}, indent=1), encoding="utf-8")
    for name, value in found.items():
        sys.stdout.write(f"{name:60} {value:,.3g}\n" if value < 100 else f"{name:60} {value:,.0f}\n")


def _plan(options: argparse.Namespace) -> None:
    from lib.campaign import plan_scale
    from lib.study.cost import MINUTES, in_words

    table = plan_scale(options.scale)
    left = in_words(table[MINUTES].sum(skipna=False))
    sys.stdout.write(f"{options.scale}: {table['number'].sum()} runs, {left} left (estimate)\n")
    sys.stdout.write(table.to_string(index=False) + "\n")
