"""Keys of rows that trained until a correction replaced them.

The table does not have them any more, but models were fitted on them: a later row with such a key
trains as well. They are stored beside the archive, as the sides of rows are.
"""

from io import BytesIO

import polars as pl

from include.records.row_columns import KEY_HIGH, KEY_LOW, KEYS
from include.store import Store

_SUFFIX = ".parquet"
_SCHEMA = pl.Schema({KEY_HIGH: pl.Int64, KEY_LOW: pl.Int64})


class TrainedKeys:
    """The keys that batches have taken off the train side, one file for each such batch."""

    def __init__(self, store: Store) -> None:
        """`store` is the folder of the files."""
        self._store = store

    def keep(self, digest: str, rows: pl.DataFrame) -> None:
        """Store the keys of train rows that a batch replaces; before it is committed or again.

        Of a batch that is never committed they are true as well: the rows train.
        """
        if rows.is_empty():
            return
        buffer = BytesIO()
        rows.select(KEYS).unique(maintain_order=True).write_parquet(buffer)
        self._store.write(digest + _SUFFIX, buffer.getvalue())

    def among(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return `key_high` and `key_low` of the rows whose key is stored."""
        asked = rows.select(KEYS)
        found = [
            pl.read_parquet(BytesIO(self._store.read(entry.name)), schema=_SCHEMA)
            for entry in self._store.look()
            if entry.name.endswith(_SUFFIX)
        ]
        known = pl.concat([_SCHEMA.to_frame(), *found])
        return known.join(asked, on=KEYS, how="semi").unique()
