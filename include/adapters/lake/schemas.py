"""The schema of the table, and the format that a version of it states.

A table of the second format has, beside the features, columns of its own: always those of
`OWN_KINDS`, and those of `OPTIONAL_KINDS` that its contract names a column for. The label is stored
as the name of its class, which more classes than two can use without another format; a target that
is a number would be a float64 in the same place. `read_label` and `stored_label` alone know this.
"""

from collections.abc import Iterable
from datetime import datetime

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, Schema

from include.errors import TableRefusedError
from include.records.row_columns import (
    ARRIVED_AT,
    BATCH,
    EVENT_TIME,
    GROUP,
    ID,
    KEY_HIGH,
    KEY_LOW,
    LABEL,
    NEWEST_FORMAT,
    SIDE,
    WEIGHT,
    TableFormat,
)
from include.spec.contract import Contract

FORMAT_PROPERTY = "ratchet.format"
"""The property of the table that states its format; a table without it is of the first."""
CLASSES = ("negative", "positive")
"""The names of the classes, by the number that a label is in memory."""
_TIME = pl.Datetime("us", "UTC")
OWN_KINDS = {
    KEY_HIGH: pl.Int64(),
    KEY_LOW: pl.Int64(),
    BATCH: pl.String(),
    SIDE: pl.String(),
    LABEL: pl.Int8(),
    ARRIVED_AT: _TIME,
}
"""The columns of the table's own as they are read."""
_OF_THE_FIRST = frozenset(OWN_KINDS) - {ARRIVED_AT}
_OPTIONAL = {ID: pa.string(), GROUP: pa.string(), EVENT_TIME: pa.timestamp("us", "UTC")}
OPTIONAL_KINDS = {**_OPTIONAL, WEIGHT: pa.float64()}
_OPTIONAL_AS_READ = {ID: pl.String(), GROUP: pl.String(), EVENT_TIME: _TIME, WEIGHT: pl.Float64()}
# A feature may have the name of an optional column that a table lacks.
_OWN_MARK = {"ratchet": "own"}


def format_of(table: DeltaTable) -> TableFormat:
    """Return the format of a version; TableRefusedError for one of a newer release."""
    stated = table.metadata().configuration.get(FORMAT_PROPERTY, str(int(TableFormat.FIRST)))
    try:
        return TableFormat(int(stated))
    except ValueError as error:
        raise TableRefusedError(
            f"the table is of format {stated}, and this release reads formats up to "
            f"{int(NEWEST_FORMAT)}: use the release that wrote it, or a later one"
        ) from error


def partition_columns(table: DeltaTable) -> list[str]:
    """Return the columns that part the data files of a version into folders."""
    return [SIDE, LABEL] if format_of(table) is TableFormat.FIRST else [SIDE]


def schema_of(table: DeltaTable) -> pa.Schema:
    """Return the schema of the data files that are added to a table of the newest format."""
    own = [one.name for one in table.schema().fields if one.metadata == _OWN_MARK]
    kinds = {name: kind == pl.String for name, kind in features(table).items()}
    return file_schema(kinds, own)


def first_schema(rows: pl.DataFrame, optional: Iterable[str]) -> pa.Schema:
    """Return the schema that the first rows of a table fix; `optional` are columns of its own."""
    own = {*OWN_KINDS, *optional}
    kinds = {name: kind == pl.String for name, kind in rows.schema.items() if name not in own}
    return file_schema(kinds, optional)


def features(table: DeltaTable) -> dict[str, pl.DataType]:
    """Return the features of a table with their types."""
    own = _OF_THE_FIRST if format_of(table) is TableFormat.FIRST else frozenset(OWN_KINDS)
    return {
        one.name: pl.String() if one.type.type == "string" else pl.Float64()
        for one in table.schema().fields
        if one.name not in own and one.metadata != _OWN_MARK
    }


def optional_kinds(table: DeltaTable) -> dict[str, pl.DataType]:
    """Return the columns of a version's own beside those that every table has, with their types."""
    own = [one.name for one in table.schema().fields if one.metadata == _OWN_MARK]
    return {name: _OPTIONAL_AS_READ[name] for name in own}


def file_schema(features: dict[str, bool], optional: Iterable[str]) -> pa.Schema:
    """Return the schema of data files whose features are texts (True) or numbers."""
    fields = [
        pa.field(name, pa.string() if text else pa.float64()) for name, text in features.items()
    ]
    own = [
        pa.field(KEY_HIGH, pa.int64()),
        pa.field(KEY_LOW, pa.int64()),
        pa.field(BATCH, pa.string()),
        pa.field(LABEL, pa.string()),
        pa.field(ARRIVED_AT, pa.timestamp("us", "UTC")),
    ]
    more = [pa.field(name, OPTIONAL_KINDS[name], metadata=_OWN_MARK) for name in optional]
    return pa.schema([*fields, *own, *more])


def delta_schema(schema: pa.Schema) -> Schema:
    """Return the schema of the table whose data files have a schema."""
    return Schema.from_arrow(pa.schema([*schema, pa.field(SIDE, pa.string())]))


def optional_columns(contract: Contract) -> tuple[str, ...]:
    """Return the columns of the table's own that a contract names a column for."""
    return () if contract.row_id is None else (ID,)


def stored_label() -> pl.Expr:
    """Return the label as it is stored, of one as it is in memory."""
    negative, positive = map(pl.lit, CLASSES)
    return pl.when(pl.col(LABEL) == 1).then(positive).otherwise(negative).alias(LABEL)


def read_label() -> pl.Expr:
    """Return the label as it is in memory, of one as it is stored: 1 is positive, 0 negative."""
    return (pl.col(LABEL) == CLASSES[1]).cast(pl.Int8).alias(LABEL)


def as_stored(
    rows: pl.DataFrame, digest: str, arrived_at: datetime, schema: pa.Schema
) -> pl.DataFrame:
    """Return rows with the columns of the table; what nothing fills is null."""
    rows = rows.with_columns(
        stored_label(), batch=pl.lit(digest), arrived_at=pl.lit(arrived_at, OWN_KINDS[ARRIVED_AT])
    )
    absent = [name for name in schema.names if name not in rows.columns]
    return rows.with_columns(pl.lit(None).alias(name) for name in absent)
