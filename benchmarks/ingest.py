"""What taking rows in costs, beside the obvious pandas way of doing it.

Ratchet: claim, type and judge every row, key, subtract all history, side, commit, archive. Peer:
read every slice so far, concatenate, `drop_duplicates`, stratified split, write both sides, as
Parquet and, for all rows in one batch, also as CSV. Each runs in a process of its own, warmed up on
a few rows, one after the other in turns. The last figures are Ratchet's own, on one file of 3 GB
and on the same rows in several forms.

BEFORE=REVISION times those forms alone, in turns with the code of another revision: what a change
costs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.ingest_forms import compare_forms
from benchmarks.memory import peak_mib

QUICK = bool(os.environ.get("QUICK"))
ROWS = 30_000 if QUICK else 200_000
SLICES = 10
ROUNDS = 1 if QUICK else 3
LARGE_BYTES = 0 if QUICK else 3_000_000_000
FORM_ROWS = 2_000 if QUICK else 20_000
FORM_ROUNDS = 1 if QUICK else 5
CHANGE = os.environ.get("BEFORE")
"""A revision to compare the forms with."""
WORKERS = ("ratchet", "pandas", "pandas-csv")
SPEC = """
title = "Santander-shaped rows"
model = "santander-model"
[data]
target = "target"
id = "ID_code"
[[families]]
name = "naive_bayes"
pipeline = ["sklearn.naive_bayes.GaussianNB"]
"""


def main() -> None:
    """Run the benchmark, or one side of it when called with a worker's name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker", choices=WORKERS)
    parser.add_argument("--home", type=Path)
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    if arguments.worker:
        _work(arguments.worker, arguments.home, arguments.files)
        return
    console = Console(highlight=False, width=150)
    figures = {} if CHANGE else _compare(console)
    figures |= compare_forms(FORM_ROWS, FORM_ROUNDS, CHANGE, console)
    print(json.dumps({"benchmark": "ingest", **figures}))


def _work(worker: str, home: Path, files: Sequence[Path]) -> None:
    """Take a few rows in, so that imports are not timed, then the files; report both figures."""
    few = home / "few.csv"
    with files[0].open() as file:
        few.write_text("".join(islice(file, 1000)))
    side = _ratchet if worker == "ratchet" else partial(_pandas, worker=worker)
    side(home / "warm", [few])
    seconds = side(home / "timed", files)
    print(json.dumps({"seconds": seconds, "peak_mib": peak_mib()}))


def _ratchet(home: Path, files: Sequence[Path]) -> list[float]:
    """Take the files in one after another and return the seconds of each."""
    from include.context.intake_context import intake_context
    from include.settings import read_settings
    from include.spec.spec_files import read_spec
    from include.steps.dedup import dedup_batch
    from include.steps.ingest import ingest_delivery
    from include.steps.split import split_batch

    home.mkdir()
    (home / "santander.toml").write_text(SPEC)
    context = intake_context(
        read_spec(home / "santander.toml"), read_settings({"RATCHET_HOME": str(home / "home")})
    )
    landing = home / "home" / "landing" / "santander"
    landing.mkdir(parents=True)
    seconds = []
    for file in files:
        (landing / file.name).hardlink_to(file)
        (landing / f"{file.name}.done").touch()
        began = time.perf_counter()
        for delivery in context.landing.claim():
            batch = ingest_delivery(context, delivery)
            batch = split_batch(context, dedup_batch(context, batch))
            if not batch.new:
                raise SystemExit(f"nothing was taken in: {batch}")
        seconds.append(time.perf_counter() - began)
    return seconds


def _pandas(home: Path, files: Sequence[Path], worker: str) -> list[float]:
    """Do the same the obvious way and return the seconds of each file's turn."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    home.mkdir()
    seconds = []
    for count in range(1, len(files) + 1):
        began = time.perf_counter()
        rows = pd.concat([pd.read_csv(file) for file in files[:count]]).drop_duplicates()
        train, holdout = train_test_split(
            rows, test_size=0.2, stratify=rows["target"], random_state=0
        )
        for name, side in {"train": train, "holdout": holdout}.items():
            if worker == "pandas":
                side.to_parquet(home / f"{name}.parquet")
            else:
                side.to_csv(home / f"{name}.csv", index=False)
        seconds.append(time.perf_counter() - began)
    return seconds


def _compare(console: Console) -> dict[str, Any]:
    """Time both sides, print a table and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        whole, slices = _deliveries(Path(folder))
        console.print(f"{ROWS:,} rows of 200 features, {whole.stat().st_size / 1e6:.0f} MB")
        runs: dict[str, list[dict[str, Any]]] = {}
        for number in range(ROUNDS):
            for worker in ("ratchet", "pandas") if number % 2 == 0 else ("pandas", "ratchet"):
                runs.setdefault(f"{worker} whole", []).append(_run(worker, [whole]))
                runs.setdefault(f"{worker} slices", []).append(_run(worker, slices))
            # Batch 10 against batch 2 of one history is a small difference: more of them.
            runs["ratchet slices"] += [_run("ratchet", slices) for _ in range(2)]
        runs["pandas-csv whole"] = [_run("pandas-csv", [whole])]
        figures = _figures(runs)
        if LARGE_BYTES:
            figures |= _large(whole)
    _show(console, figures)
    return {"rows": ROWS, "rounds": ROUNDS, **figures}


def _deliveries(folder: Path) -> tuple[Path, list[Path]]:
    from demo.data import santander_rows

    rows = santander_rows(ROWS, seed=0)
    whole = folder / "whole.csv"
    rows.write_csv(whole)
    slices = [folder / f"slice-{number}.csv" for number in range(SLICES)]
    for part, path in zip(rows.iter_slices(ROWS // SLICES), slices, strict=True):
        part.write_csv(path)
    return whole, slices


def _run(worker: str, files: Sequence[Path]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=files[0].parent) as home:
        command = [sys.executable, "-m", "benchmarks.ingest", "--worker", worker, "--home", home]
        done = subprocess.run(  # noqa: S603 - this very module
            [*command, *map(str, files)], check=True, capture_output=True, text=True
        )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _figures(runs: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for worker in ("ratchet", "pandas"):
        whole, slices = runs[f"{worker} whole"], runs[f"{worker} slices"]
        figures |= {
            f"{worker}_whole_seconds": statistics.median(run["seconds"][0] for run in whole),
            f"{worker}_whole_peak_mib": statistics.median(run["peak_mib"] for run in whole),
            f"{worker}_second_seconds": statistics.median(run["seconds"][1] for run in slices),
            f"{worker}_tenth_seconds": statistics.median(run["seconds"][9] for run in slices),
        }
    to_csv = statistics.median(run["seconds"][0] for run in runs["pandas-csv whole"])
    return figures | {
        "pandas_csv_whole_seconds": to_csv,
        "whole_times_faster_than_csv": to_csv / figures["ratchet_whole_seconds"],
        "whole_times_faster": figures["pandas_whole_seconds"] / figures["ratchet_whole_seconds"],
        "whole_memory_share": figures["ratchet_whole_peak_mib"] / figures["pandas_whole_peak_mib"],
        "tenth_times_faster": figures["pandas_tenth_seconds"] / figures["ratchet_tenth_seconds"],
        "tenth_to_second": statistics.median(
            run["seconds"][9] / run["seconds"][1] for run in runs["ratchet slices"]
        ),
    }


def _large(whole: Path) -> dict[str, float]:
    """Take in one file of 3 GB: the rows again and again, each time a little other."""
    large = whole.with_name("large.csv")
    header, body = whole.read_bytes().split(b"\n", 1)
    with large.open("wb") as file:
        file.write(header + b"\n")
        turn = 0
        while file.tell() < LARGE_BYTES:
            # Each turn adds digits to the last feature, so that no row is a duplicate.
            turn += 1
            file.write(body.replace(b"\n", b"%d\n" % turn))
    run = _run("ratchet", [large])
    return {
        "large_gb": large.stat().st_size / 1e9,
        "large_seconds": run["seconds"][0],
        "large_peak_mib": run["peak_mib"],
    }


def _show(console: Console, figures: dict[str, float]) -> None:
    table = Table("figure", "Ratchet", "pandas, Parquet", "ratio", "pandas, CSV", "ratio")
    for title, name, unit, ratio in (
        ("all rows in one batch", "whole_seconds", "s", figures["whole_times_faster"]),
        ("peak memory of it", "whole_peak_mib", "MiB", figures["whole_memory_share"]),
        ("batch 10 of 10", "tenth_seconds", "s", figures["tenth_times_faster"]),
        ("batch 2 of 10", "second_seconds", "s", None),
    ):
        ours, theirs = figures[f"ratchet_{name}"], figures[f"pandas_{name}"]
        told = "" if ratio is None else f"{ratio:.2f}"
        row = [title, f"{ours:.2f} {unit}", f"{theirs:.2f} {unit}", told]
        if name == "whole_seconds":
            row.append(f"{figures['pandas_csv_whole_seconds']:.2f} s")
            row.append(f"{figures['whole_times_faster_than_csv']:.2f}")
        table.add_row(*row)
    table.add_row("batch 10 to batch 2", f"{figures['tenth_to_second']:.2f}")
    if "large_gb" in figures:
        told = f"{figures['large_seconds']:.0f} s, {figures['large_peak_mib']:.0f} MiB"
        table.add_row(f"one file of {figures['large_gb']:.1f} GB", told)
    console.print(table)


if __name__ == "__main__":
    main()
