"""Stores the frames that one step passes to the next, as uncompressed Arrow files."""

from dataclasses import dataclass
from io import BytesIO

import polars as pl

from include.records.row_columns import NEWEST_FORMAT
from include.store import Store, write_whole

# Keys that another release staged would not be those of the table's rows.
_SUFFIX = f".{NEWEST_FORMAT:d}.arrow"


@dataclass(frozen=True)
class Staging:
    """The staging folder of a lake, with a subfolder for each batch; writes are atomic."""

    store: Store

    def keep(self, digest: str, name: str, frame: pl.DataFrame) -> None:
        """Store a frame of a batch under a name, over an earlier one."""
        place = self.store.at(digest)
        if place.local is not None:
            with write_whole(place.local.path(name + _SUFFIX)) as partial:
                frame.write_ipc(partial, compression="uncompressed")
            return
        buffer = BytesIO()
        frame.write_ipc(buffer, compression="uncompressed")
        place.write(name + _SUFFIX, buffer.getvalue())

    def read(self, digest: str, name: str, columns: list[str] | None) -> pl.DataFrame:
        """Read a stored frame, or some of its columns."""
        place = self.store.at(digest)
        if place.local is not None:
            return pl.read_ipc(place.local.path(name + _SUFFIX), columns=columns)
        return pl.read_ipc(BytesIO(place.read(name + _SUFFIX)), columns=columns)

    def names(self, digest: str) -> list[str]:
        """Return the names of the stored frames of a batch, sorted."""
        names = (entry.name for entry in self.store.at(digest).look())
        return sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))

    def digests(self) -> set[str]:
        """Return the digests of the batches that have stored frames."""
        return {entry.name.partition("/")[0] for entry in self.store.walk()}

    def forget(self, digest: str) -> None:
        """Delete all stored frames of a batch."""
        for entry in self.store.at(digest).look():
            self.store.delete(f"{digest}/{entry.name}")
