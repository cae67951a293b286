"""The schema of the table: the features, and the table's own columns."""

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, Schema

from include.records.row_columns import BATCH, KEY_HIGH, KEY_LOW, KEYS, LABEL, SIDE

OWN_KINDS = {
    KEY_HIGH: pl.Int64(),
    KEY_LOW: pl.Int64(),
    BATCH: pl.String(),
    SIDE: pl.String(),
    LABEL: pl.Int8(),
}


def schema_of(table: DeltaTable) -> pa.Schema:
    """Return the schema of the table's data files."""
    return _schema({name: kind == pl.String for name, kind in features(table).items()})


def first_schema(rows: pl.DataFrame) -> pa.Schema:
    """Return the schema that the first rows of a table fix."""
    return _schema(
        {name: kind == pl.String for name, kind in rows.schema.items() if name not in OWN_KINDS}
    )


def features(table: DeltaTable) -> dict[str, pl.DataType]:
    """Return the features of a table with their types."""
    kinds = {one.name: one.type.type for one in table.schema().fields}
    return {
        name: pl.String() if kind == "string" else pl.Float64()
        for name, kind in kinds.items()
        if name not in OWN_KINDS
    }


def _schema(features: dict[str, bool]) -> pa.Schema:
    """Return the schema of data files whose features are texts (True) or numbers."""
    fields = [
        pa.field(name, pa.string() if text else pa.float64()) for name, text in features.items()
    ]
    keys = [pa.field(name, pa.int64()) for name in KEYS]
    return pa.schema([*fields, *keys, pa.field(BATCH, pa.string())])


def delta_schema(schema: pa.Schema) -> Schema:
    """Return the schema of the table whose data files have a schema."""
    partition = [pa.field(SIDE, pa.string()), pa.field(LABEL, pa.int8())]
    return Schema.from_arrow(pa.schema([*schema, *partition]))
