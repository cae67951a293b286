"""From the lines of a delivery to typed rows, each bad row refused on its own.

A row is refused, never repaired: a guess would reach the model. A file is refused only when no
row of it can be trusted: a column is missing, or too large a share of the rows is bad.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from include.errors import FileRefusedError
from include.spec import Data

LARGEST = 3.4e38
"""Models compute in float32; a larger magnitude would become infinite there."""
OWN_COLUMNS = frozenset({"line", "label", "key", "side", "batch"})
"""Columns that a row gets beside its features, on its way and in the lake."""


@dataclass(frozen=True)
class RefusedRow:
    """A row in quarantine: where it stood, why it is there, and its text as it came."""

    line: int
    """Number of its first line in the file, the header being line 1."""
    column: str
    reason: str
    raw: str
    """Bytes that are not UTF-8 are shown as `\\xff`."""


@dataclass(frozen=True)
class Typed:
    """The usable rows of a delivery, and the refused ones."""

    frame: pl.DataFrame
    """Columns `line` (int64), the features (float64, finite), `label` (int8, 1 is positive)."""
    features: tuple[str, ...]
    refused: tuple[RefusedRow, ...]


@dataclass(frozen=True)
class _Record:
    line: int
    fields: list[str]
    raw: str


def ingest(lines: Iterable[str], data: Data, expected: tuple[str, ...] | None) -> Typed:
    """Parse CSV lines (RFC 4180, with a header) into typed rows.

    `expected` are the features of the rows already in the lake, None before the first batch.
    Undecodable bytes are expected as surrogate escapes. Raises FileRefusedError.
    """
    records = _records(lines)
    header = _header(next(records, None), data)
    features = _features(header, data, expected)
    whole, refused = _regular(records, header)
    columns = (
        zip(*(record.fields for record in whole), strict=True) if whole else [()] * len(header)
    )
    frame = pl.DataFrame(
        dict(zip(header, columns, strict=True)), schema=dict.fromkeys(header, pl.String)
    )
    problems = _problems(frame, features, data)
    bad = problems.filter(pl.col("reason").is_not_null())
    refused += [
        RefusedRow(whole[i].line, column, reason, whole[i].raw)
        for i, column, reason in bad.select("row", "column", "reason").iter_rows()
    ]
    # A row may span lines: one quote that is never closed makes the rest of a file one row.
    bad_lines = sum(row.raw.count("\n") + 1 for row in refused)
    _require_mostly_good(bad_lines, bad_lines + len(whole) - bad.height, data)
    good = problems["reason"].is_null()
    typed = _typed(frame, features, data).with_columns(
        line=pl.Series([record.line for record in whole], dtype=pl.Int64)
    )
    kept = typed.filter(good).select("line", *features, "label")
    return Typed(kept, features, tuple(sorted(refused, key=lambda row: row.line)))


def _records(lines: Iterable[str]) -> Iterator[_Record]:
    """Yield records with the text they came as; a quoted field may span lines."""
    consumed: list[str] = []

    def remembered() -> Iterator[str]:
        for line in lines:
            consumed.append(line)
            yield line.replace("\0", "\ufffd")

    reader = csv.reader(remembered())
    first = 1
    try:
        for fields in reader:
            raw = "".join(consumed).rstrip("\r\n")
            consumed.clear()
            if fields:
                yield _Record(first, fields, raw)
            first = reader.line_num + 1
    except csv.Error as error:
        raise FileRefusedError(f"line {first}: not CSV: {error}") from error


def _header(record: _Record | None, data: Data) -> tuple[str, ...]:
    if record is None:
        raise FileRefusedError("the file is empty: a header line was expected")
    if not _decodable(record.raw):
        raise FileRefusedError(f"the header has bytes that are not UTF-8: {_readable(record.raw)}")
    header = tuple(name.strip() for name in record.fields)
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise FileRefusedError(f"the header names {', '.join(repeated)} more than once")
    if data.target not in header:
        shown = ", ".join(header[:5])
        raise FileRefusedError(f"no target column {data.target!r}; the header starts {shown}")
    return header


def _features(
    header: tuple[str, ...], data: Data, expected: tuple[str, ...] | None
) -> tuple[str, ...]:
    found = data.feature_columns(header)
    if not found:
        raise FileRefusedError(f"no column matches the feature patterns {list(data.features)}")
    if expected is None:
        return _usable(found)
    missing = [name for name in expected if name not in header]
    if missing:
        raise FileRefusedError(
            f"{len(missing)} of {len(expected)} feature columns are missing: "
            f"{', '.join(missing[:5])}{' and more' if len(missing) > 5 else ''}"  # noqa: PLR2004 - five names show the pattern
        )
    return expected


def _usable(found: tuple[str, ...]) -> tuple[str, ...]:
    # The table tells names apart by their letters, not by their case.
    folded = [name.casefold() for name in found]
    taken = [
        name
        for name, fold in zip(found, folded, strict=True)
        if fold in OWN_COLUMNS or folded.count(fold) > 1
    ]
    if taken:
        raise FileRefusedError(
            f"the table cannot hold feature columns named {', '.join(taken)}: they differ only in "
            "case or are its own words. Rename them, or exclude them in the spec"
        )
    return found


def _regular(
    records: Iterator[_Record], header: tuple[str, ...]
) -> tuple[list[_Record], list[RefusedRow]]:
    """Part the records with a field for every column from the others."""
    whole: list[_Record] = []
    refused: list[RefusedRow] = []
    for record in records:
        if not _decodable(record.raw):
            refused.append(_refuse(record, "", "bytes that are not UTF-8"))
        elif len(record.fields) != len(header):
            refused.append(_refuse(record, "", "wrong number of fields"))
        else:
            whole.append(record)
    return whole, refused


def _refuse(record: _Record, column: str, reason: str) -> RefusedRow:
    return RefusedRow(record.line, column, reason, _readable(record.raw))


def _decodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _readable(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _typed(frame: pl.DataFrame, features: tuple[str, ...], data: Data) -> pl.DataFrame:
    positive, negative = _is_label(data, data.positive), _is_label(data, data.negative)
    label = pl.when(positive).then(1).when(negative).then(0).otherwise(None).cast(pl.Int8)
    return frame.with_columns(*(_number(name) for name in features), label=label)


def _problems(frame: pl.DataFrame, features: tuple[str, ...], data: Data) -> pl.DataFrame:
    """Return per record its `row` and the `column` and `reason` of its first problem, or null."""
    reasons = {data.target: _label_problem(data)} | {
        name: _value_problem(name) for name in features
    }
    columns = [pl.when(reason.is_not_null()).then(pl.lit(name)) for name, reason in reasons.items()]
    return frame.select(
        pl.int_range(pl.len()).alias("row"),
        pl.coalesce(columns).alias("column"),
        pl.coalesce(list(reasons.values())).alias("reason"),
    )


def _text(name: str) -> pl.Expr:
    return pl.col(name).str.strip_chars()


def _number(name: str) -> pl.Expr:
    return _text(name).cast(pl.Float64, strict=False).alias(name)


def _value_problem(name: str) -> pl.Expr:
    number = _number(name)
    return (
        pl.when(_text(name) == "")
        .then(pl.lit("missing value"))
        .when(number.is_null())
        .then(pl.lit("not a number"))
        .when(~number.is_finite() | (number.abs() > LARGEST))
        .then(pl.lit("not a finite number"))
    )


def _label_problem(data: Data) -> pl.Expr:
    known = _is_label(data, data.positive) | _is_label(data, data.negative)
    return pl.when(~known.fill_null(value=False)).then(pl.lit("unknown label"))


def _is_label(data: Data, label: str | int) -> pl.Expr:
    # A whole-number label also matches `1.0`; a text label only itself.
    if isinstance(label, int):
        return _number(data.target) == label
    return _text(data.target) == label


def _require_mostly_good(bad: int, lines: int, data: Data) -> None:
    if lines and bad / lines > data.max_refused_share:
        raise FileRefusedError(
            f"{bad} of {lines} lines are in bad rows, more than the share of "
            f"{data.max_refused_share:g} that the spec allows"
        )
