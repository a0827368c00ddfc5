"""Tables of speed, in Markdown, each from the records in data/bench that ``python -m lib bench ... --json`` wrote.

``make speed`` measures those of ``data/bench/cpu`` anew.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from lib.errors import look_up
from lib.paths import DATA
from lib.report.pages.markdown import markdown

RECORDS = DATA / "bench"
TIMES = "inference with forces"
Row = Mapping[str, Any]


def record(name: str) -> dict[str, Any]:
    """What a benchmark wrote to ``data/bench/<name>.json``.

    Raises:
        ValueError: there is no such record.
    """
    path = RECORDS / f"{name}.json"
    if not path.exists():
        raise ValueError(f"data/bench/{name}.json is missing: run make speed, or name a record that is there")
    return json.loads(path.read_text(encoding="utf-8"))


def about(name: str) -> str:
    """The machine of a record: ``AMD EPYC, 2 cores; torch 2.13.0; 230 GFLOP/s, 16 GB/s``."""
    said = record(name)["about"]
    parts = [said["hardware"], f"torch {said['torch'].split('+')[0]}"]
    if "matrix rate (GFLOP/s)" in said:
        parts.append(f"{said['matrix rate (GFLOP/s)']:,.0f} GFLOP/s in matrix products")
    if "copy rate (GB/s)" in said:
        parts.append(f"{said['copy rate (GB/s)']:.0f} GB/s in copies")
    if "load average" in said:
        parts.append(f"load average {said['load average']:.1f}")
    return "; ".join(parts)


def steps(*names: str) -> str:
    """Training steps of ours beside the others'."""
    rows = [
        [row["widths"], row["model"], row["task"], str(row["molecules"]), rate(row["conformations/s"]),
         rate(row["its conformations/s"]), f"{row['ratio']:.2f} ×"]
        for name in names for row in record(name)["steps"]
    ]  # fmt: skip
    return markdown(["widths", "model", "task", "batch", "ours, conformations/s", "the other's", "ratio"], rows)


def limits(*names: str) -> str:
    """What bounds a step: operations and bytes of ours and of the other, and their shares of the matrix rate."""
    rows = [
        [row["model"], row["task"], _both(row, "MFLOP/conformation", "{:,.0f}"),
         _both(row, "MB/conformation", "{:,.0f}"), _both(row, "share of matrix rate", "{:.0%}"),
         f"{row['denormal numbers (per million)']:.0f}"]
        for name in names for row in record(name)["steps"] if row["widths"] == "paper"
    ]  # fmt: skip
    head = [
        "paper's widths",
        "task",
        "MFLOP/conformation",
        "MB/conformation",
        "of the matrix rate",
        "denormal, per million",
    ]
    return markdown(head, rows)


def busy(quiet: str, loaded: str) -> str:
    """Ratios of ours to the other's on an idle machine and beside another busy core."""
    before = {_key(row): row for row in record(quiet)["steps"]}
    rows = [
        [row["widths"], row["model"], row["task"], f"{before[_key(row)]['ratio']:.2f} ×", f"{row['ratio']:.2f} ×"]
        for row in record(loaded)["steps"]
        if _key(row) in before
    ]
    return markdown(["widths", "model", "task", "idle", "beside another"], rows)


def _key(row: Row) -> tuple[str, str, str]:
    return row["widths"], row["model"], row["task"]


def _both(row: Row, key: str, form: str) -> str:
    return ", ".join(form.format(value) for value in (row[key], row[f"its {key}"]) if value is not None)


def inference(name: str) -> str:
    """Milliseconds for energy and forces of one cluster, by number of atoms."""
    rows = record(name)[TIMES]
    sizes = list(dict.fromkeys(row["atoms"] for row in rows))
    times = {(row["widths"], row["model"], row["atoms"]): rate(row["milliseconds"]) for row in rows}
    kinds = dict.fromkeys((row["widths"], row["model"]) for row in rows)
    lines = [[*kind, *(times.get((*kind, size), "–") for size in sizes)] for kind in kinds]
    return markdown(["widths", "model", *map(str, sizes)], lines)


def overhead(name: str, atoms: str) -> str:
    """Where the time of a call of the calculator goes, for one number of atoms."""
    rows = [
        [row["widths"], row["model"], f"{row['milliseconds']:.2f}", f"{row['in the model']:.2f}",
         f"{row['milliseconds'] - row['in the model']:.2f}", f"{row['a search']:.2f}"]
        for row in record(name)[TIMES] if row["atoms"] == int(atoms)
    ]  # fmt: skip
    return markdown(
        ["widths", "model", "a call, ms", "the model", "the rest, ASE's too", "a search that is saved"], rows
    )


def data(name: str) -> str:
    """Conversion and loading."""
    numbers = {key: value for key, value in record(name).items() if isinstance(value, float | int)}
    return markdown(["", "measured"], [[key, rate(value)] for key, value in numbers.items()])


def gpu(small: str, large: str, half: str) -> str:
    """Training steps on a GPU: small batches beside the other, large ones in float32 and in half precision."""
    larger = {_key(row): row for row in record(large)["steps"]}
    halved = {_key(row): row for row in record(half)["steps"]}
    rows = []
    for row in record(small)["steps"]:
        key = _key(row)
        ratio = "–" if row["ratio"] is None else f"{row['ratio']:.2f} ×"
        memory = larger[key]["peak memory (MiB)"] / 1024
        rows.append([row["model"], row["task"], rate(row["conformations/s"]), ratio,
                     rate(larger[key]["conformations/s"]), f"{larger[key]['share of matrix rate']:.0%}",
                     rate(halved[key]["conformations/s"]),
                     f"{memory:.1f}"])  # fmt: skip
    return markdown(["model", "task", "64 in a batch", "to the other's", "256", "of the matrix rate", "256, bfloat16",
                     "GiB at 256, float32"], rows)  # fmt: skip


def graphs(name: str) -> str:
    """Training steps on a GPU as CUDA graphs beside the same without."""
    rows = [
        [row["model"], row["task"], str(row["molecules"]), rate(row["plain: conformations/s"]),
         rate(row["graphs: conformations/s"]), f"{row['graphs: ratio']:.2f} ×",
         f"{row['graphs: share of matrix rate']:.0%}", f"{row['graphs: largest difference']:.0e}"]
        for row in record(name)["graphs"]
    ]  # fmt: skip
    return markdown(["model", "task", "batch", "without graphs", "with graphs", "ratio", "of the matrix rate",
                     "largest difference"], rows)  # fmt: skip


def rate(value: float | None) -> str:
    """Three digits or a whole number, with commas."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


SPEED: dict[str, Callable[..., str]] = {
    "busy": busy,
    "data": data,
    "gpu": gpu,
    "graphs": graphs,
    "inference": inference,
    "limits": limits,
    "overhead": overhead,
    "steps": steps,
}


def speed(kind: str, *arguments: str) -> str:
    """The table of `SPEED` called ``kind``."""
    return look_up(SPEED, kind, "table of speed")(*arguments)
