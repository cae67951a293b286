"""Ranges, categories and gaps of the first batch, and how often later batches go beyond them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from include.spec.contract import Column, ColumnKind, Contract
from include.stages.ingest.first_file import MOST_CATEGORIES
from include.text.nearest import plainest
from include.text.numbers import MISSING
from include.text.showable import showable_name

_LARGEST_EXACT = 1 << 24
"""The largest whole number up to which float32 holds every one, 2^24."""
_LARGEST_READ = float(1 << 53)
"""The same for float64, in which numbers are read, 2^53."""
_LARGEST_SHOWN = 1e20
_GAP_WORDS = frozenset(text.casefold() for text in MISSING if text)


@dataclass(frozen=True)
class ColumnSummary:
    """What some rows hold, by column; a column that is always missing has no range or category."""

    ranges: Mapping[str, tuple[float, float]]
    """The lowest and the highest number."""
    categories: Mapping[str, frozenset[str]]
    gaps: frozenset[str] = frozenset()
    """The columns in which a value is missing."""
    merged: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Two numbers of a column that are equal to a model, which computes in float32."""

    def merge(self, other: "ColumnSummary") -> "ColumnSummary":
        """Return the summary of both sets of rows."""
        ranges = {
            name: _wider(self.ranges.get(name), other.ranges.get(name))
            for name in [*self.ranges, *other.ranges]
        }
        categories = {
            name: self.categories.get(name, frozenset()) | other.categories.get(name, frozenset())
            for name in [*self.categories, *other.categories]
        }
        return ColumnSummary(
            ranges, categories, self.gaps | other.gaps, {**other.merged, **self.merged}
        )


def summary_of(frame: pl.DataFrame, contract: Contract) -> ColumnSummary:
    """Return the ranges, categories and gaps of the rows of a part."""
    lowest, highest = frame.select(pl.col(pl.Float64).min()), frame.select(pl.col(pl.Float64).max())
    ranges = {
        name: (low, highest[name].item())
        for name, low in (lowest.row(0, named=True) if lowest.height else {}).items()
        if low is not None
    }
    categories = {
        name: frozenset(frame[name].drop_nulls().unique().to_list()) for name in contract.categories
    }
    missing = frame.select(contract.features).null_count().row(0, named=True)
    gaps = frozenset(name for name, rows in missing.items() if rows)
    large = [name for name, bounds in ranges.items() if max(map(abs, bounds)) > _LARGEST_EXACT]
    pairs = {name: pair for name in large if (pair := _merged(frame[name]))}
    return ColumnSummary(ranges, categories, gaps, pairs)


def merging_values(summary: ColumnSummary) -> Iterator[str]:
    """Yield a sentence for each column with values that models or readers cannot tell apart."""
    for name, (first, other) in summary.merged.items():
        what = f"{_digits(first)} and {_digits(other)} are"
        if first == other:
            what = f"whole numbers next to {first:.15g} are one when they are read, and"
        yield (
            f"column {showable_name(name)}: {what} the same to a model, "
            "which computes with seven digits; if it names things, list it in `categorical` or "
            "`exclude` or as `id`; if it is a time in seconds, write dates"
        )
    for name, categories in summary.categories.items():
        yield from _like_gaps(name, categories)
        yield from _look_alike(name, categories)


def _digits(number: float) -> str:
    """Return a number with all digits that tell it from its neighbours, as far as it is whole."""
    return f"{number:.0f}" if abs(number) < _LARGEST_SHOWN and number % 1 == 0 else f"{number:.15g}"


def _like_gaps(name: str, categories: frozenset[str]) -> Iterator[str]:
    marks = sorted(text for text in categories if text.casefold() in _GAP_WORDS)
    if marks:
        yield (
            f"column {showable_name(name)}: {', '.join(marks)} "
            f"{'is a category' if len(marks) == 1 else 'are categories'} like any other; if "
            "nothing is known there, leave the field empty"
        )


def _look_alike(name: str, categories: frozenset[str]) -> Iterator[str]:
    """Yield a sentence about categories that a person would take for the same one."""
    alike: dict[str, list[str]] = {}
    for text in sorted(categories if len(categories) <= MOST_CATEGORIES else ()):
        alike.setdefault(plainest(text), []).append(text)
    pairs = [texts[:2] for texts in alike.values() if len(texts) > 1]
    if pairs:
        first, other = (json.dumps(text, ensure_ascii=not text.isprintable()) for text in pairs[0])
        yield (
            f"column {showable_name(name)}: {first} and {other} are two categories, though they "
            "differ in nothing but case, spaces or characters that cannot be seen"
            + (f" (and {len(pairs) - 1} more such)" if len(pairs) > 1 else "")
        )


def with_ranges_seen(contract: Contract, summary: ColumnSummary) -> Contract:
    """Return the contract with the ranges, categories and gaps of its first batch.

    A column of more than MOST_CATEGORIES categories gets none: the list would be too long to read.
    """
    return replace(
        contract, columns=tuple(_with_seen(column, summary) for column in contract.columns)
    )


def outside_ranges(frame: pl.DataFrame, contract: Contract) -> dict[str, int]:
    """Count, for each column that has any, the rows beyond what the first batch held."""
    counts = [
        beyond.sum().alias(column.name)
        for column in contract.columns
        if (beyond := _beyond(column)) is not None
    ]
    if not counts or not frame.height:
        return {}
    return {name: rows for name, rows in frame.select(counts).row(0, named=True).items() if rows}


def _merged(values: pl.Series) -> tuple[float, float] | None:
    """Return two different numbers that are equal in float32, None where there are none."""
    distinct = values.drop_nulls().unique().sort()
    same = distinct.cast(pl.Float32).diff() == 0
    place = same.arg_max()
    if place is None or not same[place]:
        # Whole numbers this large were rounded already when they were read as float64.
        largest = max((distinct[0], distinct[-1]), key=abs)
        is_lost = abs(largest) >= _LARGEST_READ and bool((distinct % 1 == 0).all())
        return (largest, largest) if is_lost else None
    return distinct[place - 1], distinct[place]


def _wider(
    bounds_given: tuple[float, float] | None, other: tuple[float, float] | None
) -> tuple[float, float]:
    both = [bounds for bounds in (bounds_given, other) if bounds is not None]
    return min(low for low, _ in both), max(high for _, high in both)


def _with_seen(column: Column, summary: ColumnSummary) -> Column:
    column = replace(column, missing=column.missing or column.name in summary.gaps)
    if column.kind is ColumnKind.NUMBER:
        return replace(column, seen=summary.ranges.get(column.name))
    categories = summary.categories.get(column.name, frozenset())
    listed = sorted(categories) if len(categories) <= MOST_CATEGORIES else []
    return replace(column, categories=tuple(listed))


def _beyond(column: Column) -> pl.Expr | None:
    if column.kind is ColumnKind.NUMBER:
        return ~pl.col(column.name).is_between(*column.seen) if column.seen else None
    # Missing is neither inside nor outside: null, which no sum counts.
    known = pl.col(column.name).is_in(column.categories)
    return ~known if column.categories else None
