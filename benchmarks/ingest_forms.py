"""The same rows in several forms: what each costs beside a plain file, and what it cost before.

Every round is a process of this code and, where a revision is given, one of that revision's, in
turns and in the same environment. Figures are medians, ratios are medians of a round's own ratios,
in processor time: other programs on the machine cost wall time.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.revisions import PROJECT, checked_out
from demo.data import santander_rows

WORKER = Path(__file__).with_name("ingest_worker.py")
FEW_ROWS = 100
NOW, BEFORE = "now", "before"
PLAIN = "plain"
TITLES = {
    PLAIN: "plain CSV",
    "quoted": "every field in quotes",
    "texts": "texts in quotes",
    "bad": "one bad value",
    "stray": "one stray quote",
    "json": "JSON lines",
    "parquet": "Parquet",
}
_PLACES = ("north", "south east", "west", "far away")
Round = dict[str, dict[str, float]]


def compare_forms(rows: int, rounds: int, before: str | None, console: Console) -> dict[str, Any]:
    """Time every form, print a table and return the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "few", FEW_ROWS)
        _write(folder / "whole", rows)
        size = (folder / "whole" / "plain.csv").stat().st_size / 1e6
        console.print(f"{rows:,} rows of 200 numbers and 4 texts, {size:.0f} MB of plain CSV")
        trees = {NOW: PROJECT}
        if before:
            trees[BEFORE] = checked_out(before, folder / "before")
        results: dict[str, list[Round]] = {name: [] for name in trees}
        for number in range(rounds):
            for tree in list(trees) if number % 2 == 0 else reversed(trees):
                results[tree].append(_round(trees[tree], folder, number))
    figures = {form: _figures(form, results) for form in TITLES}
    console.print(_table(figures, before))
    return {"form_rows": rows, "form_rounds": rounds, "before": before, "forms": figures}


def _write(folder: Path, rows: int) -> None:
    folder.mkdir()
    frame = _rows(rows)
    plain = frame.write_csv()
    lines = plain.splitlines(keepends=True)
    texts = {
        "plain.csv": plain,
        "quoted.csv": frame.write_csv(quote_style="always"),
        "texts.csv": frame.write_csv(quote_style="non_numeric"),
        "bad.csv": _with_value(lines, "no number"),
        "stray.csv": _with_value(lines, '1"5'),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    frame.write_ndjson(folder / "json.jsonl")
    frame.write_parquet(folder / "parquet.parquet")


def _rows(count: int) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    texts = [pl.Series(f"text_{i}", rng.choice(_PLACES, count)) for i in range(4)]
    return santander_rows(count, seed=0).with_columns(texts)


def _with_value(lines: list[str], value: str) -> str:
    """Return the lines with another value as the first number of a row in the middle."""
    row = len(lines) // 2
    name, target, rest = lines[row].split(",", 2)
    changed = ",".join([name, target, value, rest.split(",", 1)[1]])
    return "".join([*lines[:row], changed, *lines[row + 1 :]])


def _round(tree: Path, folder: Path, seed: int) -> Round:
    with tempfile.TemporaryDirectory(dir=folder) as home:
        done = subprocess.run(  # noqa: S603 - this project's own worker
            # Without the script's own folder, so that all that is imported is the tree's.
            [sys.executable, "-P", WORKER, home, folder / "few", folder / "whole", str(seed)],
            env={**os.environ, "PYTHONPATH": str(tree)},
            cwd=tree,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    costs: Round = json.loads(done.stdout.splitlines()[-1])
    return costs


def _figures(form: str, results: Mapping[str, list[Round]]) -> dict[str, float]:
    """Return medians and ratios of one form, by what they are of."""
    figures: dict[str, float] = {}
    for work in ("read", "step"):
        for tree, rounds in results.items():
            for name in (f"{work}_cpu_seconds", f"{work}_seconds"):
                figures[f"{tree}_{name}"] = statistics.median(one[form][name] for one in rounds)
            plain = [one[PLAIN] for one in rounds]
            to_plain = _ratio(work, [one[form] for one in rounds], plain)
            figures[f"{tree}_{work}_to_plain"] = to_plain
        if BEFORE in results:
            now, then = ([one[form] for one in results[tree]] for tree in (NOW, BEFORE))
            figures[f"{work}_to_before"] = _ratio(work, now, then)
    return figures


def _ratio(work: str, costs: list[dict[str, float]], others: list[dict[str, float]]) -> float:
    """Return the median of what some work costs in a round by what other work costs in it."""
    cost = f"{work}_cpu_seconds"
    return statistics.median(
        one[cost] / other[cost] for one, other in zip(costs, others, strict=True)
    )


def _table(figures: Mapping[str, Mapping[str, float]], before: str | None) -> Table:
    """Return a row a form: reading it and the whole step, each beside plain and before."""
    titles = ("now", "to plain", *((before, "to plain", "now to it") if before else ()))
    table = Table("CPU time", *(f"{work}: {one}" for work in ("read", "step") for one in titles))
    for form, of_form in figures.items():
        cells = []
        for work in ("read", "step"):
            for tree in (NOW, BEFORE) if before else (NOW,):
                cells.append(f"{of_form[f'{tree}_{work}_cpu_seconds']:.2f} s")
                cells.append(f"{of_form[f'{tree}_{work}_to_plain']:.2f}")
            if before:
                cells.append(f"{of_form[f'{work}_to_before']:.2f}")
        table.add_row(TITLES[form], *cells)
    return table
