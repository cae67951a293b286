"""The lake: one Delta table of rows per model, the ledger of data.

A batch is one atomic commit that carries the batch digest as its application transaction id, so a
repeated commit is recognised; the table's version is the data set's version, and any version can
be read back.
"""

from pathlib import Path

import numpy as np
import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from include.arrays import Labels, Matrix
from include.records import Counts, Dataset

_OWN = ("key", "label", "side", "batch")
_COMMIT_ATTEMPTS = 20
_CLASSES = {0: "negative", 1: "positive"}


class Lake:
    """One spec's table: its features, then `key`, `label`, `side`, `batch`."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the spec's folder in the lake."""
        self.url = (folder / "rows").as_uri()
        self._table = folder / "rows"
        self._staging = folder / "staging"

    def features(self) -> tuple[str, ...] | None:
        """Return the feature columns in their order, None before the first commit."""
        table = self._open()
        if table is None:
            return None
        names = (field.name for field in table.schema().fields)
        return tuple(name for name in names if name not in _OWN)

    def dataset(self) -> Dataset | None:
        """Return the newest version with its rows per side and class, None before the first."""
        table = self._open()
        if table is None:
            return None
        found = self._scan(table).group_by("side", "label").len().collect()
        sides: dict[str, Counts] = {side: {"negative": 0, "positive": 0} for side in _SIDES}
        for side, label, rows in found.iter_rows():
            sides[side][_CLASSES[label]] = rows
        return Dataset(table.version(), sides["train"], sides["holdout"])

    def known(self) -> pl.DataFrame:
        """Return `key`, `label` and `side` of every row in history."""
        table = self._open()
        if table is None:
            return pl.DataFrame(schema={"key": pl.Binary, "label": pl.Int8, "side": pl.String})
        return self._scan(table).select("key", "label", "side").collect()

    def committed(self, digest: str) -> int | None:
        """Return the version whose commit holds the batch of this digest, None when none does."""
        return _version_of(self._open(), digest)

    def commit(self, digest: str, frame: pl.DataFrame) -> int:
        """Append a batch's new rows in one commit and return the version that holds them.

        A batch that is there already is left alone. When another writer committed in between, the
        look and the write are repeated from the newest version; CommitFailedError when that never
        ends.
        """
        rows = frame.drop("line").with_columns(batch=pl.lit(digest))
        for _ in range(_COMMIT_ATTEMPTS):
            # The look and the write are on one snapshot: the same batch, committed by another
            # writer in between, makes the write fail instead of doubling the rows.
            table = self._open()
            held = _version_of(table, digest)
            version = self._append(digest, rows, table) if held is None else held
            if version is not None:
                return version
        raise CommitFailedError(
            f"{self.url}: others committed {_COMMIT_ATTEMPTS} times while batch {digest} tried to"
        )

    def matrix(self, version: int, side: str) -> tuple[Matrix, Labels]:
        """Return one side of a version: features, shape (rows, features), and labels.

        Rows stand in the order of their keys, so the same version is the same matrix, bit for bit.
        """
        table = DeltaTable(self._table, version=version)
        frame = self._scan(table).filter(pl.col("side") == side).sort("key").collect()
        features = frame.drop(_OWN)
        X = np.ascontiguousarray(features.cast(pl.Float32).to_numpy())
        return X, frame["label"].to_numpy()

    def stage(self, digest: str, name: str, frame: pl.DataFrame) -> None:
        """Keep a frame for the next step of the same run."""
        path = self._staging / digest / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        frame.write_parquet(partial, compression="uncompressed")
        partial.replace(path)

    def staged(self, digest: str, name: str) -> pl.DataFrame:
        """Read a frame back that an earlier step of the run kept."""
        return pl.read_parquet(self._staging / digest / f"{name}.parquet")

    def forget_staged(self, digest: str) -> None:
        """Drop what steps kept for a batch that is committed and archived."""
        folder = self._staging / digest
        for path in folder.glob("*") if folder.is_dir() else ():
            path.unlink(missing_ok=True)
        if folder.is_dir():
            folder.rmdir()

    def _open(self) -> DeltaTable | None:
        return DeltaTable(self._table) if DeltaTable.is_deltatable(str(self._table)) else None

    def _scan(self, table: DeltaTable) -> pl.LazyFrame:
        return pl.scan_delta(table)

    def _append(self, digest: str, rows: pl.DataFrame, table: DeltaTable | None) -> int | None:
        """Commit as the next version; None when another writer has made that version first."""
        version = 0 if table is None else int(table.version()) + 1
        # Without retries the commit is this version or fails, so the number can be part of it.
        properties = CommitProperties(
            app_transactions=[Transaction(digest, version)], max_commit_retries=0
        )
        self._table.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_deltalake(
                self._table if table is None else table,
                rows,
                mode="error" if table is None else "append",
                partition_by=["side"],
                commit_properties=properties,
            )
        except DeltaError as error:
            raced = isinstance(error, CommitFailedError) or table is None
            if not raced or self._open() is None:
                raise
            return None
        return version


def _version_of(table: DeltaTable | None, digest: str) -> int | None:
    found = None if table is None else table.transaction_version(digest)
    return None if found is None else int(found)


_SIDES = ("train", "holdout")
