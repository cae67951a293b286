"""The archive of a spec: the files of all deliveries that are committed, by digest."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from include.adapters.landing.claimed_files import ClaimedFiles
from include.adapters.landing.delivery import DIGEST, Delivery
from include.adapters.landing.kept_files import open_kept, visible
from include.store import Store


class Archive:
    """The files of committed deliveries."""

    def __init__(self, store: Store, scratch: Path) -> None:
        """`scratch` is a local folder that holds a bucket's files while they are open."""
        self._store = store
        self._scratch = scratch

    def has(self, digest: str) -> bool:
        """Return whether a delivery of this digest is here."""
        return bool(visible(self._store.at(digest).look()))

    def digests(self) -> list[str]:
        """Return the digests of all deliveries that are here, sorted."""
        names = (entry.name.partition("/")[0] for entry in visible(self._store.walk()))
        return sorted({name for name in names if DIGEST.fullmatch(name)})

    def name(self, digest: str) -> str:
        """Return the original name of a file; empty when it is not here."""
        return min((entry.name for entry in visible(self._store.at(digest).look())), default="")

    def take(self, delivery: Delivery, claimed: ClaimedFiles) -> str:
        """Move a claimed file here; return its place."""
        to = f"{delivery.digest}/{delivery.name}"
        claimed.move_out(delivery, self._store, to)
        return f"{self._store.url}/{to}"

    def open(self, digest: str) -> AbstractContextManager[tuple[str, BinaryIO]]:
        """Open a file as `open_kept` does."""
        return open_kept(self._store.at(digest), self._scratch)
