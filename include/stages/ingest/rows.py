"""Which rows are good, and the first thing that is wrong with each of the others.

Columns without a doubtful value, nearly all of nearly all files, cost one pass; reasons are only
worked out for the others.
"""

from collections.abc import Mapping

import polars as pl

from include.contract import Column, Contract
from include.formats import Chunk, RefusedRow
from include.refusals import UNKNOWN_LABEL

LARGEST = 3.4e38
"""Models compute in float32; a larger magnitude would become infinite there."""
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
"""What stands for a missing number. A missing category is only ever empty."""


def judged(chunk: Chunk, contract: Contract) -> tuple[pl.DataFrame, tuple[RefusedRow, ...]]:
    """Return the good rows (see `Part.frame`) and the refused ones, both in the file's order."""
    values = {column.name: _values(chunk.frame[column.name], column) for column in contract.columns}
    label = _label(chunk.frame[contract.target], contract)
    reasons = _reasons(chunk, contract, values, label)
    frame = pl.DataFrame([chunk.lines.alias("line"), *values.values(), label.alias("label")])
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None)) if reasons else frame
    if not reasons:
        return frame, chunk.broken
    first = pl.DataFrame(list(reasons.values())).select(
        column=pl.coalesce(
            pl.when(pl.col(name).is_not_null()).then(pl.lit(name)) for name in reasons
        ),
        reason=pl.coalesce(pl.col(list(reasons))),
    )
    bad = first.with_row_index("row").filter(pl.col("reason").is_not_null())
    raw = chunk.raw(bad["row"].to_list())
    cells = _cells(chunk.frame, bad)
    refused = [
        RefusedRow(chunk.lines[row], column, reason, text, cell)
        for (row, column, reason), text, cell in zip(bad.iter_rows(), raw, cells, strict=True)
    ]
    in_order = tuple(sorted([*chunk.broken, *refused], key=lambda row: row.line))
    return frame.filter(first["reason"].is_null()), in_order


def as_text(values: pl.Series) -> pl.Series:
    """Return texts without the spaces around them; empty ones are null."""
    text = pl.col(values.name).str.strip_chars()
    return values.to_frame().select(pl.when(text != "").then(text).alias(values.name)).to_series()


def as_number(values: pl.Series) -> pl.Series:
    """Return the numbers that texts spell, null for what is none; Float64 as it is."""
    if values.dtype == pl.Float64:
        return values
    return values.str.strip_chars().cast(pl.Float64, strict=False)


def _cells(frame: pl.DataFrame, bad: pl.DataFrame) -> list[str]:
    """Return the text that each bad row has in the column that it is refused for."""
    cells = [""] * bad.height
    for (name,), places in bad.with_row_index("place").group_by("column"):
        texts = frame[str(name)].gather(places["row"]).cast(pl.String).fill_null("")
        for place, text in zip(places["place"], texts, strict=True):
            cells[place] = text
    return cells


def _values(values: pl.Series, column: Column) -> pl.Series:
    return as_number(values) if column.kind == "number" else as_text(values)


def _label(values: pl.Series, contract: Contract) -> pl.Series:
    """Return 1 and 0 as Int8, null for what is neither."""
    positive = _is_label(values, contract.positive)
    negative = _is_label(values, contract.negative)
    one = pl.when(positive).then(1).when(negative).then(0).otherwise(None)
    return pl.select(one.cast(pl.Int8)).to_series()


def _is_label(values: pl.Series, label: str | int) -> pl.Series:
    # A whole-number label also matches `1.0`; a text label only itself.
    if isinstance(label, int):
        return as_number(values) == label
    if values.dtype == pl.Float64:
        return pl.repeat(value=False, n=len(values), dtype=pl.Boolean, eager=True)
    return values.str.strip_chars() == label


def _reasons(
    chunk: Chunk, contract: Contract, values: Mapping[str, pl.Series], label: pl.Series
) -> dict[str, pl.Series]:
    """Return the reasons against each row, null where there is none, for the doubtful columns."""
    reasons: dict[str, pl.Series] = {}
    if label.null_count():
        unknown = pl.when(label.is_null()).then(pl.lit(UNKNOWN_LABEL))
        reasons[contract.target] = pl.select(unknown.alias(contract.target)).to_series()
    for column in _doubtful(contract, values):
        both = pl.DataFrame({"text": chunk.frame[column.name], "value": values[column.name]})
        problem = _number_problem(both, column) if column.kind == "number" else _MISSING_CATEGORY
        reasons[column.name] = both.select(problem.alias(column.name)).to_series()
    return reasons


def _doubtful(contract: Contract, values: Mapping[str, pl.Series]) -> list[Column]:
    """Return the columns that have anything but good values, in one pass over the numbers."""
    numbers = [one for one in contract.columns if one.kind == "number"]
    # An expression a range, not one a column: polars takes as long to plan 200 as to run them.
    ranges: dict[tuple[float, float], list[str]] = {}
    for one in numbers:
        ranges.setdefault(_range(one), []).append(one.name)
    good = pl.DataFrame([values[one.name] for one in numbers]).select(
        # NaN is greater than any bound here, so it is not good.
        pl.col(names).is_between(low, high).all(ignore_nulls=False)
        for (low, high), names in ranges.items()
    )
    all_good = good.row(0, named=True) if good.width else {}
    return [
        one
        for one in contract.columns
        if (not all_good[one.name] if one.name in all_good else _lacks(values[one.name], one))
    ]


def _lacks(texts: pl.Series, column: Column) -> bool:
    return not column.missing and bool(texts.null_count())


def _range(column: Column) -> tuple[float, float]:
    low, high = column.accepted or (-LARGEST, LARGEST)
    return max(low, -LARGEST), min(high, LARGEST)


_MISSING_CATEGORY = pl.when(pl.col("value").is_null()).then(pl.lit("missing value"))


def _number_problem(both: pl.DataFrame, column: Column) -> pl.Expr:
    value = pl.col("value")
    if both["text"].dtype == pl.Float64:
        missing = value.is_null() | value.is_nan()
    else:
        missing = pl.col("text").str.strip_chars().fill_null("").is_in(MISSING)
    low, high = column.accepted or (-LARGEST, LARGEST)
    return (
        pl.when(missing)
        .then(pl.lit(None if column.missing else "missing value", dtype=pl.String))
        .when(value.is_null())
        .then(pl.lit("not a number"))
        .when(~value.is_finite() | (value.abs() > LARGEST))
        .then(pl.lit("not a finite number"))
        .when(~value.is_between(low, high))
        .then(pl.lit("out of the accepted range"))
    )
