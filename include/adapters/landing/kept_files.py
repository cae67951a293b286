"""What archive and quarantine have in common: files that are kept by the digests of deliveries."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from include.store import Entry, Store, open_local


def visible(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries whose file names do not begin with a dot."""
    return [entry for entry in entries if not entry.name.rpartition("/")[2].startswith(".")]


@contextmanager
def open_kept(
    store: Store, scratch: Path, beside: Collection[str] = ()
) -> Iterator[tuple[str, BinaryIO]]:
    """Open the file of one delivery, seekable and local; yields its name and the file.

    `store` is the place of that delivery, `beside` the names of files there that are about it. An
    object of a bucket is downloaded into the folder `scratch` first. Raises FileNotFoundError when
    there is no file.
    """
    names = {entry.name for entry in visible(store.look())}.difference(beside)
    if not names:
        raise FileNotFoundError(f"{store.url}: no delivery of this digest is kept here")
    name = min(names)
    with open_local(store, name, scratch) as file:
        yield name, file
