"""What a step keeps for the next one: frames as uncompressed Arrow files, whole or absent."""

from dataclasses import dataclass
from io import BytesIO

import polars as pl

from include.store import Folder, Store, whole

_SUFFIX = ".arrow"


@dataclass(frozen=True)
class Staging:
    """The staging place of a lake: a folder a batch."""

    store: Store

    def keep(self, digest: str, name: str, frame: pl.DataFrame) -> None:
        """Keep a frame, in place of an earlier one of the name."""
        place = self.store.at(digest)
        if isinstance(place, Folder):
            with whole(place.path(name + _SUFFIX)) as partial:
                frame.write_ipc(partial, compression="uncompressed")
            return
        buffer = BytesIO()
        frame.write_ipc(buffer, compression="uncompressed")
        place.write(name + _SUFFIX, buffer.getvalue())

    def read(self, digest: str, name: str, columns: list[str] | None) -> pl.DataFrame:
        """Read a frame back, or some columns of it."""
        place = self.store.at(digest)
        if isinstance(place, Folder):
            return pl.read_ipc(place.path(name + _SUFFIX), columns=columns)
        return pl.read_ipc(BytesIO(place.read(name + _SUFFIX)), columns=columns)

    def names(self, digest: str) -> list[str]:
        """Return the names of what is kept for a batch, sorted."""
        names = (entry.name for entry in self.store.at(digest).look())
        return sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))

    def forget(self, digest: str) -> None:
        """Drop what is kept for a batch."""
        for entry in self.store.at(digest).look():
            self.store.delete(f"{digest}/{entry.name}")
