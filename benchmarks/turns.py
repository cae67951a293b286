"""Runs a benchmark of this tree and of another revision in turns: what a change costs or saves.

    python -m benchmarks.turns REVISION [--rounds N] MODULE|SCRIPT.py [its arguments]

Each tree runs its own code in this environment, so that both meet the same machine and libraries;
a script is this tree's and imports the code of either.
Figures are medians over the rounds, ratios are medians of a round's own ratios: of now 12 and 9 s
beside 10 and 10 s before the ratio is (1.2 + 0.9) / 2 = 1.05. Figures that one of the two does not
know are left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.revisions import PROJECT, checked_out

NOW, BEFORE = "now", "before"
Figures = dict[str, float]


def main() -> None:
    """Run the benchmark in turns, print a table and, last, one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("revision")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    call = [asked.module, *asked.arguments]
    with tempfile.TemporaryDirectory() as folder:
        trees = {NOW: PROJECT, BEFORE: checked_out(asked.revision, Path(folder))}
        rounds: dict[str, list[Figures]] = {NOW: [], BEFORE: []}
        for number in range(asked.rounds):
            for tree in list(trees) if number % 2 == 0 else reversed(trees):
                rounds[tree].append(_figures(trees[tree], call))
                sys.stderr.write(f"round {number + 1} of {asked.rounds}: {tree} is through\n")
    compared = _compared(rounds[NOW], rounds[BEFORE])
    Console(highlight=False).print(_table(compared))
    quick = bool(os.environ.get("QUICK"))
    said = {"benchmark": f"turns of {asked.module}", "quick": quick, "before": asked.revision}
    print(json.dumps(said | {"rounds": asked.rounds, "figures": compared}))


def _figures(tree: Path, call: Sequence[str]) -> Figures:
    """Return every number in the last line that a benchmark prints, by its place there."""
    script = Path(call[0]).absolute()
    # Without the script's own folder, so that all that it imports is the tree's.
    run = ["-P", str(script)] if script.is_file() else ["-m", call[0]]
    done = subprocess.run(  # noqa: S603 - this project's own benchmark
        [sys.executable, *run, *call[1:]],
        env={**os.environ, "PYTHONPATH": str(tree)},
        cwd=tree,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return dict(_numbers(json.loads(done.stdout.splitlines()[-1]), ""))


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, f"{place} {name}".strip())
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _numbers(inner, f"{place} {number}".strip())
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place, float(value)


def _compared(now: Sequence[Figures], before: Sequence[Figures]) -> dict[str, Figures]:
    """Return both medians and the ratio of each figure that both have."""
    names = [name for name in now[0] if all(name in one for one in (*now, *before))]
    return {
        name: {
            NOW: statistics.median(one[name] for one in now),
            BEFORE: statistics.median(one[name] for one in before),
            "ratio": _ratio([one[name] for one in now], [one[name] for one in before]),
        }
        for name in names
    }


def _ratio(now: Sequence[float], before: Sequence[float]) -> float:
    pairs = [(one, other) for one, other in zip(now, before, strict=True) if other]
    return statistics.median(one / other for one, other in pairs) if pairs else 1.0


def _table(compared: dict[str, Figures]) -> Table:
    table = Table("figure", "now", "before", "now to before")
    for name, figures in compared.items():
        table.add_row(name, *(f"{figures[one]:.4g}" for one in (NOW, BEFORE, "ratio")))
    return table


if __name__ == "__main__":
    main()
