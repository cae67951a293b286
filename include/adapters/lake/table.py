"""The Delta table: its versions, and commits that are the very next version or nothing.

A commit that lost the race for its version is told from one that won it and never heard so: the
log says whose files a version names.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from include.adapters.lake.datafiles import PARTITION, DataFiles
from include.adapters.lake.place import Options, for_delta, for_polars, local_folder
from include.records import Counts, Dataset
from include.store import open_store

KEYS = ("key_high", "key_low")
SIDES = ("train", "holdout")
_OWN_KINDS = {
    "key_high": pl.Int64(),
    "key_low": pl.Int64(),
    "batch": pl.String(),
    "side": pl.String(),
    "label": pl.Int8(),
}
GROWTH = "rows"
"""The application transaction of every commit that brings rows, beside the batch's own."""
_CLASSES = {0: "negative", 1: "positive"}
_CONFIGURATION = {
    # A model may name a version for years; the log that leads to it must not expire meanwhile.
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.checkpointInterval": "20",
}


@dataclass(frozen=True)
class Table:
    """The table of one lake."""

    url: str
    options: Options = field(repr=False)
    scratch: Path = field(repr=False)

    def at(self, version: int | None = None) -> DeltaTable | None:
        """Open a version, the newest by default; None before the first commit."""
        folder = local_folder(self.url)
        if folder is not None and not (folder / "_delta_log").is_dir():
            return None
        try:
            return DeltaTable(self.uri, version=version, storage_options=for_delta(self.options))
        except TableNotFoundError:
            return None

    def scan(self, version: int, *sides: str) -> pl.LazyFrame:
        """Return the rows of some sides of a version, read when they are collected.

        Polars' own reader of Delta takes the escapes in a folder's name for its name, so the files
        are read as the log lists them.
        """
        table = self._require(version)
        empty = pl.LazyFrame(schema={**_features(table), **_OWN_KINDS})
        files = added(table).filter(pl.col("side").is_in(sides))
        parts = files.partition_by(PARTITION, as_dict=True)
        found = [self._part(side, label, part) for (side, label), part in parts.items()]
        return pl.concat([empty, *found])

    def scan_files(self, version: int, side: str) -> Iterator[tuple[pl.LazyFrame, int]]:
        """Yield each data file of a side of a version and its number of rows, by path."""
        files = added(self._require(version)).filter(pl.col("side") == side).sort("path")
        for file in files.iter_slices(1):
            yield self._part(side, file["label"][0], file), file["rows"][0]

    def paths(self, files: pl.DataFrame) -> list[str]:
        """Return where data files stand, as polars reads them."""
        return [f"{self.uri}/{path}" for path in files["path"]]

    def files(self, schema: pa.Schema) -> DataFiles:
        """Open data files that are going to be committed."""
        return DataFiles(schema, local_folder(self.url) or self.scratch)

    def append(
        self, digest: str, files: DataFiles, schema: pa.Schema, onto: int | None
    ) -> int | None:
        """Commit a batch's files as the version after `onto`; None when another writer made it."""
        version = 0 if onto is None else onto + 1
        store = open_store(self.url, self.options)
        actions = files.publish(store, grown=True)
        # Without retries the commit is this version or fails, so the number can be part of it.
        properties = CommitProperties(
            app_transactions=[Transaction(digest, version), Transaction(GROWTH, version)],
            max_commit_retries=0,
        )
        try:
            self._commit(actions, schema, onto, properties)
        except DeltaError:
            if self._holds(version, actions):
                return version
            if not self._made(version):
                raise
            files.withdraw(store)
            return None
        return version

    def replace(
        self, files: DataFiles, removed: Sequence[RemoveAction], schema: pa.Schema, onto: int
    ) -> bool:
        """Commit files that hold the rows of removed ones; False when another writer was faster."""
        store = open_store(self.url, self.options)
        actions = files.publish(store, grown=False)
        properties = CommitProperties(max_commit_retries=0)
        try:
            self._commit([*actions, *removed], schema, onto, properties)
        except DeltaError:
            if self._holds(onto + 1, actions):
                return True
            if not self._made(onto + 1):
                raise
            files.withdraw(store)
            return False
        return True

    def _require(self, version: int) -> DeltaTable:
        table = self.at(version)
        if table is None:
            raise TableNotFoundError(f"{self.url}: there is no table, so no version {version}")
        return table

    def _part(self, side: str, label: int, files: pl.DataFrame) -> pl.LazyFrame:
        rows = pl.scan_parquet(
            self.paths(files),
            storage_options=for_polars(self.options),
            glob=False,
            hive_partitioning=False,
        )
        return rows.with_columns(side=pl.lit(side), label=pl.lit(label, pl.Int8))

    @property
    def uri(self) -> str:
        """The place as deltalake and polars both take it: of a folder the path, not a file URL."""
        folder = local_folder(self.url)
        return self.url if folder is None else str(folder)

    def _commit(
        self,
        actions: list[AddAction | RemoveAction],
        schema: pa.Schema,
        onto: int | None,
        properties: CommitProperties,
    ) -> None:
        whole = _delta_schema(schema)
        if onto is None:
            create_table_with_add_actions(
                self.uri,
                whole,
                actions,
                partition_by=list(PARTITION),
                configuration=_CONFIGURATION,
                storage_options=for_delta(self.options),
                commit_properties=properties,
            )
        else:
            table = self.at(onto)
            if table is None:
                raise TableNotFoundError(f"{self.url}: the table is gone")
            table.create_write_transaction(
                actions, "append", whole, list(PARTITION), commit_properties=properties
            )

    def _made(self, version: int) -> bool:
        newest = self.at()
        return newest is not None and newest.version() >= version

    def _holds(self, version: int, actions: Iterable[AddAction]) -> bool:
        """Say whether a version names the files: then it is ours, whatever we were told."""
        table = self.at(version) if self._made(version) else None
        if table is None:
            return False
        paths = set(added(table)["path"])
        return all(action.path in paths for action in actions)


def added(table: DeltaTable) -> pl.DataFrame:
    """Return a row per data file: path, bytes, rows, side, label."""
    files = pl.DataFrame(table.get_add_actions())
    return files.select(
        "path",
        pl.col("size_bytes").alias("bytes"),
        pl.col("num_records").alias("rows"),
        pl.col("partition").struct.field("side"),
        pl.col("partition").struct.field("label"),
    )


def counted(table: DeltaTable) -> Dataset:
    """Return the rows per side and class, which the log knows without any data being read."""
    sides: dict[str, Counts] = {side: {"negative": 0, "positive": 0} for side in SIDES}
    for side, label, rows in (
        added(table).group_by("side", "label").agg(pl.col("rows").sum()).iter_rows()
    ):
        sides[side][_CLASSES[label]] = rows
    grown = table.transaction_version(GROWTH)
    return Dataset(table.version(), sides["train"], sides["holdout"], grown=int(grown or 0))


def committed(table: DeltaTable | None, digest: str) -> int | None:
    """Return the version whose commit holds the batch, None when none does."""
    found = None if table is None else table.transaction_version(digest)
    return None if found is None else int(found)


def schema_of(table: DeltaTable) -> pa.Schema:
    """Return the schema of the table's data files."""
    return _schema({name: kind == pl.String for name, kind in _features(table).items()})


def first_schema(rows: pl.DataFrame) -> pa.Schema:
    """Return the schema that the first rows of a table fix."""
    return _schema(
        {name: kind == pl.String for name, kind in rows.schema.items() if name not in _OWN_KINDS}
    )


def _features(table: DeltaTable) -> dict[str, pl.DataType]:
    kinds = {one.name: one.type.type for one in table.schema().fields}
    return {
        name: pl.String() if kind == "string" else pl.Float64()
        for name, kind in kinds.items()
        if name not in _OWN_KINDS
    }


def _schema(features: dict[str, bool]) -> pa.Schema:
    """Return the schema of data files whose features are texts (True) or numbers."""
    fields = [
        pa.field(name, pa.string() if text else pa.float64()) for name, text in features.items()
    ]
    keys = [pa.field(name, pa.int64()) for name in KEYS]
    return pa.schema([*fields, *keys, pa.field("batch", pa.string())])


def _delta_schema(schema: pa.Schema) -> Schema:
    partition = [pa.field("side", pa.string()), pa.field("label", pa.int8())]
    return Schema.from_arrow(pa.schema([*schema, *partition]))
