"""How long one row takes, family by family: as scikit-learn answers it, and as the server does.

Both in one process and one after the other, best of several repeats; the largest difference between
their probabilities on 5,000 rows stands beside them. Numbers alone, then with categories, then with
gaps besides.
"""

import json
import os
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from include.records.training import Candidate
from include.settings import PROJECT
from include.spec.model_spec import Family
from include.spec.spec_files import read_spec
from include.stages.fit import fit
from include.stages.select import build, candidates
from serving.bundle import Bundle, Layout, Manifest
from serving.models.quick import with_quickest_ways

ROWS, FITTED, FEATURES = 5000, 2000, 20
REPEATS = 3 if os.environ.get("QUICK") else 10
EXAMPLES = 5
MISSING_SHARE = 0.1
Matrix = NDArray[np.float32]


def main() -> None:
    """Measure every family on both layouts and print a table and, last, a line of JSON."""
    families = read_spec(Path(PROJECT) / "include" / "specs" / "santander.toml").families
    columns = ("layout", "family", "scikit-learn ms", "served ms", "times", "way", "apart")
    table, told = Table(*columns), []
    for name, layout in layouts().items():
        X, y = rows(layout)
        for family in families:
            one = measured(name, layout, family, X, y)
            told.append(one)
            table.add_row(*(f"{part:.3g}" if isinstance(part, float) else part for part in one))
    Console(width=120).print(table)
    figures = [dict(zip(columns, one, strict=True)) for one in told]
    print(json.dumps({"benchmark": "ways", "figures": figures}))


def layouts() -> dict[str, Layout]:
    """Return a layout of numbers, one with categories too, and one with gaps besides."""
    names = tuple(f"f{place}" for place in range(FEATURES))
    colours = ("blue", "green", "red")
    return {
        "numbers": Layout(names),
        "categories": Layout(names, dict.fromkeys(names[:4], colours)),
        "mixed": Layout(names, dict.fromkeys(names[:4], colours), names[2:8]),
    }


def rows(layout: Layout) -> tuple[Matrix, NDArray[np.int8]]:
    """Return rows of a layout and labels that depend on them."""
    chance = np.random.default_rng(0)
    X = chance.normal(size=(ROWS, FEATURES)).astype(np.float32)
    y = (X[:, 8:12].sum(axis=1) + chance.normal(size=ROWS) > 1).astype(np.int8)
    for place, feature in enumerate(layout.features):
        if feature in layout.categories:
            X[:, place] = chance.integers(len(layout.categories[feature]), size=ROWS)
        if feature in layout.missing:
            X[chance.random(ROWS) < MISSING_SHARE, place] = np.nan
    return X, y


def measured(
    name: str, layout: Layout, family: Family, X: Matrix, y: NDArray[np.int8]
) -> tuple[Any, ...]:
    """Return a line of the table."""
    first: Candidate = candidates(family)[0]
    pipeline = build(first, family, 0, layout)
    model = fit(pipeline, 0.4, X[:FITTED], y[:FITTED])
    example = tuple(values(layout, row) for row in X[:EXAMPLES])
    plain = Bundle(Manifest("boxes", family.name, layout, 0.4, ("0", "1"), 1, example), model)
    quick = with_quickest_ways(plain)
    apart = float(np.abs(plain.scores(X) - quick.scores(X)).max())
    slow, fast = milliseconds(plain.scores, X), milliseconds(quick.scores, X)
    return name, family.name, slow, fast, slow / fast, quick.ways[0].name, apart


def values(layout: Layout, row: Matrix) -> tuple[float | str | None, ...]:
    """Return a row of a matrix as values in feature order."""
    pairs = zip(layout.features, row, strict=True)
    return tuple(
        None
        if np.isnan(value)
        else layout.categories[feature][int(value)]
        if feature in layout.categories
        else float(value)
        for feature, value in pairs
    )


def milliseconds(ask: Callable[[Matrix], Any], X: Matrix) -> float:
    """Return what one row takes."""
    one = X[:1]
    ask(one)
    return min(timeit.repeat(lambda: ask(one), number=10, repeat=REPEATS)) * 100


if __name__ == "__main__":
    main()
