"""Checks rows against the contract, and gives the first reason against each bad one.

Columns without a doubtful value, nearly all of nearly all files, cost one pass; reasons are worked
out for the others only.
"""

from collections.abc import Mapping

import polars as pl

from include.formats.parsed_table import Chunk, RefusedRow
from include.problems import problem_named
from include.records.refusal_reasons import ReasonKind
from include.records.row_columns import LABEL, LINE
from include.spec.contract import Column, ColumnKind, Contract
from include.stages.ingest.resemblance import is_other_date, is_other_number
from include.stages.ingest.row_ids import row_ids
from include.text.numbers import MISSING, as_number, as_text, with_truths
from serving.values.notation import PLAIN

LARGEST = 3.4e38
"""Models compute in float32, where a larger magnitude would become infinite."""


def judge_rows(
    chunk: Chunk, contract: Contract, *, labelled: bool
) -> tuple[pl.DataFrame, tuple[RefusedRow, ...], pl.Series | None]:
    """Return the good rows (see `TypedPart`) and the refused ones, in the file's order, and ids.

    Features and label are two halves: of rows that are not `labelled` the second is not asked for,
    and neither is their id.
    """
    values, reasons = _features(chunk, contract)
    columns = [chunk.lines.alias(LINE), *values]
    ids = _ids(chunk, contract) if labelled else None
    if labelled:
        label, label_reasons = _label(chunk, contract)
        columns.append(label)
        reasons = label_reasons | _without_id(ids) | reasons
    frame = pl.DataFrame(columns)
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None)) if reasons else frame
    if not reasons:
        return frame, chunk.broken, ids
    first = pl.DataFrame(list(reasons.values())).select(
        column=pl.coalesce(
            pl.when(pl.col(name).is_not_null()).then(pl.lit(name)) for name in reasons
        ),
        reason=pl.coalesce(pl.col(list(reasons))),
    )
    bad = first.with_row_index("row").filter(pl.col("reason").is_not_null())
    raw = chunk.raw(bad["row"].to_list())
    cells = _cells(chunk.frame, bad)
    named = [""] * bad.height if ids is None else ids.gather(bad["row"]).fill_null("").to_list()
    refused = [
        RefusedRow(chunk.lines[row], column, reason, text, cell, row_id)
        for (row, column, reason), text, cell, row_id in zip(
            bad.iter_rows(), raw, cells, named, strict=True
        )
    ]
    in_order = tuple(sorted([*chunk.broken, *refused], key=lambda row: row.line))
    is_good = first["reason"].is_null()
    return frame.filter(is_good), in_order, None if ids is None else ids.filter(is_good)


def _ids(chunk: Chunk, contract: Contract) -> pl.Series | None:
    return None if contract.row_id is None else row_ids(chunk.frame[contract.row_id])


def _without_id(ids: pl.Series | None) -> dict[str, pl.Series]:
    """Return, by the id's column, the reason against each row where one has no id."""
    if ids is None or not ids.null_count():
        return {}
    missing = pl.when(ids.is_null()).then(pl.lit(ReasonKind.MISSING))
    return {ids.name: pl.select(missing.alias(ids.name)).to_series()}


def _features(chunk: Chunk, contract: Contract) -> tuple[list[pl.Series], dict[str, pl.Series]]:
    """Return the features as they are stored, and by doubtful column the reason against each row.

    A reason is null where there is none.
    """
    values = {
        column.name: _values(chunk.frame[column.name], column, contract.spelling)
        for column in contract.columns
    }
    reasons: dict[str, pl.Series] = {}
    for column in _doubtful(contract, values):
        both = pl.DataFrame({"text": chunk.frame[column.name], "value": values[column.name]})
        problem = (
            _number_problem(both, column) if column.kind is ColumnKind.NUMBER else _MISSING_CATEGORY
        )
        reasons[column.name] = both.select(problem.alias(column.name)).to_series()
    return list(values.values()), reasons


def _label(chunk: Chunk, contract: Contract) -> tuple[pl.Series, dict[str, pl.Series]]:
    """Return the label as it is stored, and the reason against each row where one is unknown."""
    label = problem_named(contract.problem).read_labels(chunk.frame[contract.target], contract)
    if not label.null_count():
        return label.alias(LABEL), {}
    unknown = pl.when(label.is_null()).then(pl.lit(ReasonKind.UNKNOWN_LABEL))
    reason = pl.select(unknown.alias(contract.target)).to_series()
    return label.alias(LABEL), {contract.target: reason}


def _values(values: pl.Series, column: Column, spelling: int) -> pl.Series:
    if column.kind is ColumnKind.CATEGORY:
        return as_text(values, spelling, column.categories)
    numbers = as_number(values, column.notation)
    if numbers is values or column.notation != PLAIN or not _is_zero_or_one(column):
        return numbers
    return with_truths(numbers, values)


def _is_zero_or_one(column: Column) -> bool:
    """Say whether a number column holds truths, as far as the first batch shows."""
    return column.seen is not None and {*column.seen} <= {0.0, 1.0}


def _cells(frame: pl.DataFrame, bad: pl.DataFrame) -> list[str]:
    """Return the text that each bad row has in the column that it is refused for."""
    cells = [""] * bad.height
    for (name,), places in bad.with_row_index("place").group_by("column"):
        texts = frame[str(name)].gather(places["row"]).cast(pl.String).fill_null("")
        for place, text in zip(places["place"], texts, strict=True):
            cells[place] = text
    return cells


def _doubtful(contract: Contract, values: Mapping[str, pl.Series]) -> list[Column]:
    """Return the columns that hold anything but good values, in one pass over the numbers."""
    numbers = [column for column in contract.columns if column.kind is ColumnKind.NUMBER]
    # An expression a range, not one a column: polars takes as long to plan 200 as to run them.
    ranges: dict[tuple[float, float], list[str]] = {}
    for column in numbers:
        ranges.setdefault(_range(column), []).append(column.name)
    good = pl.DataFrame([values[column.name] for column in numbers]).select(
        # NaN is greater than any bound here, so it is not good.
        pl.col(names).is_between(low, high).all(ignore_nulls=False)
        for (low, high), names in ranges.items()
    )
    all_good = good.row(0, named=True) if good.width else {}
    return [
        column
        for column in contract.columns
        if (
            not all_good[column.name]
            if column.name in all_good
            else _lacks(values[column.name], column)
        )
    ]


def _lacks(texts: pl.Series, column: Column) -> bool:
    return not column.missing and bool(texts.null_count())


def _range(column: Column) -> tuple[float, float]:
    low, high = column.accepted or (-LARGEST, LARGEST)
    return max(low, -LARGEST), min(high, LARGEST)


_MISSING_CATEGORY = pl.when(pl.col("value").is_null()).then(pl.lit(ReasonKind.MISSING))


def _number_problem(both: pl.DataFrame, column: Column) -> pl.Expr:
    value = pl.col("value")
    other = pl.lit(value=False)
    if both["text"].dtype == pl.Float64:
        missing = value.is_null() | value.is_nan()
    else:
        missing = pl.col("text").str.strip_chars().fill_null("").is_in(MISSING)
        other = _in_another_notation(both, column)
    low, high = column.accepted or (-LARGEST, LARGEST)
    return (
        pl.when(missing)
        .then(pl.lit(None if column.missing else ReasonKind.MISSING, dtype=pl.String))
        .when(value.is_null() & other)
        .then(pl.lit(ReasonKind.OTHER_DATE if column.notation.date else ReasonKind.OTHER_NOTATION))
        .when(value.is_null())
        .then(pl.lit(_unread(column)))
        .when(~value.is_finite() | (value.abs() > LARGEST))
        .then(pl.lit(ReasonKind.NOT_FINITE))
        .when(~value.is_between(low, high))
        .then(pl.lit(ReasonKind.OUT_OF_RANGE))
    )


def _unread(column: Column) -> ReasonKind:
    """Return what a text is that the notation of a column does not read."""
    if column.notation.boolean:
        return ReasonKind.NO_TRUTH
    return ReasonKind.NO_DATE if column.notation.date else ReasonKind.NO_NUMBER


def _in_another_notation(both: pl.DataFrame, column: Column) -> pl.Expr:
    """Mark texts that the column's notation does not read, but that are a value in another."""
    if column.notation.boolean:
        return pl.lit(value=False)
    is_other = is_other_date if column.notation.date else is_other_number
    unread = both.filter(pl.col("value").is_null())["text"].drop_nulls().unique()
    alike = [text for text in unread.to_list() if is_other(text)]
    return pl.col("text").is_in(pl.Series(alike, dtype=pl.String).implode())
