"""Stores the side of each row of each batch beside the archive, in case the table is lost.

As long as the table has a row, the table decides about its side. When rows are ingested again from
the archive, in whatever order, they get the sides that are stored here.
"""

import logging
from collections.abc import Iterable
from datetime import datetime
from io import BytesIO

import polars as pl

from include.adapters.lake.trained_keys import TrainedKeys
from include.errors import reason_of
from include.records.row_columns import ARRIVED_AT, KEY_HIGH, KEY_LOW, KEYS, SIDE
from include.store import Store

log = logging.getLogger("ratchet")
_SUFFIX = ".parquet"
_SCHEMA = pl.Schema({KEY_HIGH: pl.Int64, KEY_LOW: pl.Int64, SIDE: pl.String})
_VERSION = "version"


class Sides:
    """The sides of the rows of all batches, one file for each batch."""

    def __init__(self, store: Store) -> None:
        """`store` is the folder of the files."""
        self._store = store
        self.trained = TrainedKeys(store.at("trained"))

    def digests(self) -> set[str]:
        """Return the digests of the batches whose sides are stored."""
        names = (entry.name for entry in self._store.look())
        return {name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)}

    def keep(self, digest: str, rows: pl.DataFrame, version: int) -> None:
        """Store the sides of a batch that table version `version` committed, and its arrival."""
        buffer = BytesIO()
        frame = rows.select(pl.col(name).cast(kind) for name, kind in _SCHEMA.items())
        arrived = rows[ARRIVED_AT].min()
        known = {_VERSION: str(version)}
        if isinstance(arrived, datetime):
            known[ARRIVED_AT] = arrived.isoformat()
        frame.write_parquet(buffer, metadata=known)
        self._store.write(digest + _SUFFIX, buffer.getvalue())

    def read(self, digests: Iterable[str]) -> pl.DataFrame:
        """Return `key_high`, `key_low` and `side` of the rows of some batches, each key once.

        A file that cannot be read is skipped with a warning in the log.
        """
        found = (self._read(digest) for digest in sorted(digests))
        frames = [frame for frame in found if frame is not None]
        rows = pl.concat([_SCHEMA.to_frame(), *frames])
        # A key that stood on both sides, one after the other, trained in the end: "train" is last.
        return rows.sort(SIDE, descending=True).unique(KEYS, keep="first", maintain_order=True)

    def version(self, digest: str) -> int:
        """Return the table version that committed a batch; FileNotFoundError when unknown."""
        return int(pl.read_parquet_metadata(BytesIO(self._bytes(digest)))[_VERSION])

    def arrived_at(self, digest: str) -> datetime | None:
        """Return when a batch was taken in for the first time; None when unknown."""
        try:
            known = pl.read_parquet_metadata(BytesIO(self._bytes(digest)))
        except (pl.exceptions.PolarsError, OSError):
            return None
        return datetime.fromisoformat(known[ARRIVED_AT]) if ARRIVED_AT in known else None

    def _read(self, digest: str) -> pl.DataFrame | None:
        try:
            return pl.read_parquet(BytesIO(self._bytes(digest)), schema=_SCHEMA)
        except (pl.exceptions.PolarsError, OSError) as error:
            log.warning(
                "the sides of batch %s cannot be read from %s/%s%s (%s): rows of it that the table "
                "lacks get their sides anew",
                digest[:12], self._store.url, digest, _SUFFIX, reason_of(error),
            )  # fmt: skip
            return None

    def _bytes(self, digest: str) -> bytes:
        return self._store.read(digest + _SUFFIX)
