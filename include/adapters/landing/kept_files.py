"""What archive and quarantine have in common: files that are kept by the digests of deliveries."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from include.store import Entry, Folder, Store


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
    with ExitStack() as stack:
        if isinstance(store, Folder):
            file = store.open(name)
        else:
            scratch.mkdir(parents=True, exist_ok=True)
            path = Path(stack.enter_context(TemporaryDirectory(dir=scratch)), "file")
            store.fetch(name, path)
            file = path.open("rb")
        yield name, stack.enter_context(file)
