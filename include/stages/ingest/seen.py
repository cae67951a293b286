"""What the first batch showed of every column, and how often a later one leaves it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from include.contract import Column, Contract
from include.stages.ingest.columns import MOST_CATEGORIES


@dataclass(frozen=True)
class Seen:
    """Ranges and categories of some rows, by column; none of one that is always missing."""

    ranges: Mapping[str, tuple[float, float]]
    categories: Mapping[str, frozenset[str]]

    def merge(self, other: "Seen") -> "Seen":
        """Return what was seen in either."""
        ranges = {
            name: _wider(self.ranges.get(name), other.ranges.get(name))
            for name in [*self.ranges, *other.ranges]
        }
        categories = {
            name: self.categories.get(name, frozenset()) | other.categories.get(name, frozenset())
            for name in [*self.categories, *other.categories]
        }
        return Seen(ranges, categories)


def seen(frame: pl.DataFrame, contract: Contract) -> Seen:
    """Return the ranges and categories of the rows of a part."""
    lowest, highest = frame.select(pl.col(pl.Float64).min()), frame.select(pl.col(pl.Float64).max())
    ranges = {
        name: (low, highest[name].item())
        for name, low in (lowest.row(0, named=True) if lowest.height else {}).items()
        if low is not None
    }
    categories = {
        name: frozenset(frame[name].drop_nulls().unique().to_list()) for name in contract.categories
    }
    return Seen(ranges, categories)


def with_seen(contract: Contract, found: Seen) -> Contract:
    """Return the contract with what its batch showed.

    A column of more than MOST_CATEGORIES categories gets none: nobody would read them.
    """
    return replace(contract, columns=tuple(_with_seen(one, found) for one in contract.columns))


def outside(frame: pl.DataFrame, contract: Contract) -> dict[str, int]:
    """Count, per column that has any, the rows beyond what the first batch showed."""
    counts = [
        beyond.sum().alias(one.name)
        for one in contract.columns
        if (beyond := _beyond(one)) is not None
    ]
    if not counts or not frame.height:
        return {}
    return {name: rows for name, rows in frame.select(counts).row(0, named=True).items() if rows}


def _wider(
    one: tuple[float, float] | None, other: tuple[float, float] | None
) -> tuple[float, float]:
    both = [bounds for bounds in (one, other) if bounds is not None]
    return min(low for low, _ in both), max(high for _, high in both)


def _with_seen(column: Column, found: Seen) -> Column:
    if column.kind == "number":
        return replace(column, seen=found.ranges.get(column.name))
    categories = found.categories.get(column.name, frozenset())
    listed = sorted(categories) if len(categories) <= MOST_CATEGORIES else []
    return replace(column, categories=tuple(listed))


def _beyond(column: Column) -> pl.Expr | None:
    if column.kind == "number":
        return ~pl.col(column.name).is_between(*column.seen) if column.seen else None
    # Missing is neither inside nor outside: null, which no sum counts.
    known = pl.col(column.name).is_in(column.categories)
    return ~known if column.categories else None
