"""What a batch costs when the lake is large: a fresh batch of 100,000 rows x 20 at several sizes.

Peer: the same batch on an empty lake, the two alternating. A batch is a CSV file that goes from
landing to archive in a process of its own, whose peak memory is measured. Each is committed to a
copy of the table's log, so the lake does not grow.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.memory import peak_mib
from include.context.intake_context import IntakeContext, intake_context
from include.settings import read_settings
from include.spec.contract import ColumnKind, first_contract
from include.spec.model_spec import Spec
from include.steps.dedup import dedup_batch
from include.steps.ingest import ingest_delivery
from include.steps.split import split_batch

QUICK = bool(os.environ.get("QUICK"))
SIZES = (100_000, 300_000, 1_000_000) if QUICK else (1_000_000, 3_000_000, 10_000_000)
ROUNDS = 3 if QUICK else 5
BATCH, FEATURES = 100_000, 20
GROWTH = 500_000
MIB = 2**20
NAMES = tuple(f"var_{at}" for at in range(FEATURES))
SPEC = Spec.model_validate(
    {
        "name": "history",
        "model": "history-model",
        "title": "History",
        "data": {"target": "y"},
        "families": [{"name": "tree", "pipeline": ["sklearn.tree.DecisionTreeClassifier"]}],
    }
)
CONTRACT = first_contract(SPEC, dict.fromkeys(NAMES, ColumnKind.NUMBER), "the benchmark")
Figure = dict[str, float]


def main() -> None:
    """Run the benchmark and print its table and, last, one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--picture", type=Path, help="draw the curve into this file")
    parser.add_argument("--batch", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.batch:
        print(json.dumps(_batch(asked.batch)))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = list(_measured(Path(folder)))
    Console(highlight=False).print(_table(figures))
    if asked.picture:
        _draw(figures, asked.picture)
    print(json.dumps({"benchmark": "history", "quick": QUICK, "sizes": figures}))


def _measured(folder: Path) -> Iterator[Figure]:
    full, empty = folder / "full", folder / "empty"
    _open(full).lake.write_contract(CONTRACT)
    _open(empty).lake.write_contract(CONTRACT)
    grown = 0
    for size in SIZES:
        _grow(full, grown, size)
        grown = size
        pairs = [(_apart(full, seed), _apart(empty, seed)) for seed in range(ROUNDS)]
        large, none = zip(*pairs, strict=True)
        yield _figure(size, list(large), list(none))


def _figure(size: int, large: list[Figure], none: list[Figure]) -> Figure:
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(large, none, strict=True)]
    return {
        "rows": size,
        "seconds": statistics.median(one["seconds"] for one in large),
        "look_seconds": statistics.median(one["look_seconds"] for one in large),
        "empty_seconds": statistics.median(one["seconds"] for one in none),
        "ratio": statistics.median(ratios),
        "peak_mib": max(one["peak_mib"] for one in large),
        "empty_peak_mib": max(one["peak_mib"] for one in none),
    }


def _grow(folder: Path, start: int, end: int) -> None:
    """Commit rows with keys of their own until the lake holds so many."""
    lake = _open(folder).lake
    for begin in range(start, end, GROWTH):
        rows = _rows(min(GROWTH, end - begin), begin).rename({"y": "label"})
        keys = np.random.default_rng(begin).integers(-(2**63), 2**63 - 1, (rows.height, 2))
        held = np.random.default_rng(begin + 1).random(rows.height) < CONTRACT.holdout
        part = rows.with_columns(
            key_high=keys[:, 0],
            key_low=keys[:, 1],
            side=pl.when(pl.lit(pl.Series(held)))
            .then(pl.lit("holdout"))
            .otherwise(pl.lit("train")),
        )
        lake.commit(f"growth {begin}", [part], lake.version())
    # As after every batch: otherwise the batch that is timed would do it for all of history.
    lake.keep_sides()


def _apart(folder: Path, seed: int) -> Figure:
    """Run one batch in a process of its own on files that stay as they are."""
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy, copy_function=os.link)
    try:
        _open(copy).landing.drop("batch.csv", _rows(BATCH, 10**9 + seed).write_csv().encode())
        call = [sys.executable, "-m", "benchmarks.history", f"--batch={copy}"]
        answer: Figure = json.loads(subprocess.check_output(call))  # noqa: S603 - ourselves
    finally:
        shutil.rmtree(copy)
    return answer


def _batch(folder: Path) -> Figure:
    """Take the batch that waits in, and tell what it took."""
    context = _open(folder)
    context.landing.drop("batch.csv.done", b"")
    began = time.perf_counter()
    (delivery,) = context.landing.claim()
    batch = ingest_delivery(context, delivery)
    looked = time.perf_counter()
    batch = dedup_batch(context, batch)
    look_seconds = time.perf_counter() - looked
    batch = split_batch(context, batch)
    seconds = time.perf_counter() - began
    if batch.new != BATCH:
        raise SystemExit(f"{BATCH} rows should have been new: {batch}")
    return {"seconds": seconds, "look_seconds": look_seconds, "peak_mib": peak_mib()}


def _open(folder: Path) -> IntakeContext:
    return intake_context(SPEC, read_settings({"RATCHET_HOME": str(folder)}))


def _rows(count: int, seed: int) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    features = {name: draw.normal(size=count).round(4) for name in NAMES}
    labels = (draw.random(count) < 0.1).astype(np.int8)  # noqa: PLR2004 - one in ten
    return pl.DataFrame(features | {"y": labels})


def _table(figures: list[Figure]) -> Table:
    title = f"a batch of {BATCH:,} rows x {FEATURES}, median of {ROUNDS}"
    table = Table("rows in the lake", "s", "dedup, s", "none, s", "ratio", "peak MiB", title=title)
    for one in figures:
        seconds = (f"{one[name]:.2f}" for name in ("seconds", "look_seconds", "empty_seconds"))
        table.add_row(f"{one['rows']:,}", *seconds, f"{one['ratio']:.2f}", f"{one['peak_mib']:.0f}")
    return table


def _draw(figures: list[Figure], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    sizes: list[Any] = [one["rows"] / 1e6 for one in figures]
    axes.plot(sizes, [one["seconds"] for one in figures], marker="o", label="with this history")
    axes.plot(sizes, [one["empty_seconds"] for one in figures], marker="o", label="with none")
    axes.set(xlabel="million rows in the lake", ylabel=f"seconds for {BATCH:,} new rows", ylim=0)
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
