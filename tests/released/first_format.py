"""Writes tables of the first format, as release 0.1.0 did, with whatever rows a test wants."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake import Schema as DeltaSchema
from deltalake.transaction import AddAction, create_table_with_add_actions

from include.context.intake_context import IntakeContext
from include.records.row_columns import TableFormat
from include.spec.contract import ColumnKind, first_contract
from include.stages.dedup import with_keys

PARTITION = ["side", "label"]


def write_first_format(context: IntakeContext, batches: Sequence[pl.DataFrame]) -> list[str]:
    """Commit batches with features, `label` and `side`; return their digests.

    The contract is fixed by the first: texts are categories, all else are numbers.
    """
    kinds = {
        name: ColumnKind.CATEGORY if kind == pl.String else ColumnKind.NUMBER
        for name, kind in batches[0].drop(PARTITION).schema.items()
    }
    context.lake.write_contract(first_contract(context.spec, kinds, "batch 0"))
    return [_commit(context, rows, number) for number, rows in enumerate(batches)]


def _commit(context: IntakeContext, rows: pl.DataFrame, version: int) -> str:
    digest = hashlib.sha256(f"{context.spec.name} {version}".encode()).hexdigest()
    keyed = with_keys(rows, context.lake.require_contract(), TableFormat.FIRST)
    whole = keyed.with_columns(pl.col("label").cast(pl.Int8), batch=pl.lit(digest))
    folder = Path(context.lake.url, "rows")
    added = [
        _file(folder, str(side), int(label), part)
        for (side, label), part in whole.partition_by(
            PARTITION, as_dict=True, include_key=False
        ).items()
    ]
    properties = CommitProperties(
        app_transactions=[Transaction(digest, version), Transaction("rows", version)]
    )
    if version:
        table = DeltaTable(folder)
        table.create_write_transaction(
            [*added], "append", table.schema(), PARTITION, commit_properties=properties
        )
    else:
        create_table_with_add_actions(
            str(folder),
            _schema(whole),
            added,
            partition_by=PARTITION,
            commit_properties=properties,
        )
    return digest


def _file(folder: Path, side: str, label: int, rows: pl.DataFrame) -> AddAction:
    path = f"side={side}/label={label}/{uuid.uuid4()}.parquet"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(folder / path)
    return AddAction(
        path=path,
        size=(folder / path).stat().st_size,
        partition_values={"side": side, "label": str(label)},
        modification_time=0,
        data_change=True,
        stats=json.dumps({"numRecords": rows.height}),
    )


def _schema(rows: pl.DataFrame) -> DeltaSchema:
    return DeltaSchema.from_arrow(rows.to_arrow().schema)
