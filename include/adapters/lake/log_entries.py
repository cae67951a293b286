"""Writes the entries of Delta's log that deltalake does not: the first, and that of a migration.

deltalake creates no table with a property that it does not know. An overwrite of its own gives the
table another identity, and replaces whatever version it finds, also one that was never looked at.
"""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deltalake import DeltaTable, Schema
from deltalake.transaction import AddAction, RemoveAction

from include.adapters.lake.schemas import FORMAT_PROPERTY
from include.records.row_columns import NEWEST_FORMAT, SIDE

_CONFIGURATION = {
    # A model may name a version for years; the log that leads to it must not expire meanwhile.
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.checkpointInterval": "20",
    FORMAT_PROPERTY: str(int(NEWEST_FORMAT)),
}
_PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 2}


def first_entry(
    schema: Schema,
    added: Sequence[AddAction],
    transactions: Mapping[str, int],
    stated: Mapping[str, str],
) -> bytes:
    """Return the entry that creates a table; `stated` is what Ratchet says in the commit."""
    named = [{"txn": {"appId": name, "version": one}} for name, one in transactions.items()]
    new = _metadata(str(uuid.uuid4()), _now(), schema)
    return _entry(
        [_info("CREATE TABLE", stated), {"protocol": _PROTOCOL}, new, *map(_add, added), *named]
    )


def migration_entry(
    table: DeltaTable,
    schema: Schema,
    added: Sequence[AddAction],
    removed: Sequence[RemoveAction],
    stated: Mapping[str, str],
) -> bytes:
    """Return the entry that gives a table other columns, another layout and the newest format."""
    was = table.metadata()
    new = _metadata(str(was.id), int(was.created_time or _now()), schema)
    return _entry([_info("REPLACE TABLE", stated), new, *map(_add, added), *map(_remove, removed)])


def _entry(actions: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(_lines(actions)).encode()


def _lines(actions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for action in actions:
        yield json.dumps(action) + "\n"


def _now() -> int:
    return time.time_ns() // 1_000_000


def _info(operation: str, stated: Mapping[str, str]) -> dict[str, Any]:
    info = {"timestamp": _now(), "operation": operation, "operationParameters": {}}
    return {"commitInfo": {**info, "engineInfo": "ratchet", **stated}}


def _metadata(identity: str, created: int, schema: Schema) -> dict[str, Any]:
    return {
        "metaData": {
            "id": identity,
            "name": None,
            "description": None,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": schema.to_json(),
            "partitionColumns": [SIDE],
            "createdTime": created,
            "configuration": _CONFIGURATION,
        }
    }


def _add(action: AddAction) -> dict[str, Any]:
    return {
        "add": {
            "path": action.path,
            "partitionValues": dict(action.partition_values),
            "size": action.size,
            "modificationTime": action.modification_time,
            "dataChange": action.data_change,
            "stats": action.stats,
        }
    }


def _remove(action: RemoveAction) -> dict[str, Any]:
    return {
        "remove": {
            "path": action.path,
            "deletionTimestamp": action.deletion_timestamp,
            "dataChange": action.data_change,
            "extendedFileMetadata": True,
            "partitionValues": dict(action.partition_values or {}),
            "size": action.size,
        }
    }
