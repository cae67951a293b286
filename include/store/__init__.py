"""A folder on disk or a bucket in S3, behind one interface.

Writes are atomic: in a folder a file gets a temporary name first and is then renamed; in a bucket
an object is stored by one put. A move that was killed can be repeated. Names come from people, so
every name that the file system or bucket allows is kept unchanged. Requests to a server that does
not respond are repeated for a while. Airflow's triggerer imports this module, so the S3 library is
imported only when a bucket is opened.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from include.store.address import bucket_and_prefix, local_folder, scheme_of
from include.store.bucket import Bucket, bucket_problem, connect
from include.store.folder import Folder, write_whole
from include.store.interface import PIECE, Entry, LeftAlone, Store

__all__ = [
    "PIECE",
    "Bucket",
    "Entry",
    "Folder",
    "LeftAlone",
    "Store",
    "bucket_problem",
    "move_between_stores",
    "open_local",
    "open_store",
    "write_whole",
]


def open_store(url: str, options: Mapping[str, str]) -> Store:
    """Return the store at a path, a file:// or an s3:// URL; ValueError for another scheme.

    `options` are the options that deltalake and polars read as well: AWS_ENDPOINT_URL,
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ALLOW_HTTP, aws_conditional_put.
    """
    folder, scheme = local_folder(url), scheme_of(url)
    if folder is not None:
        return Folder(folder)
    if scheme != "s3":
        raise ValueError(f"{url}: give a path or an s3:// URL, {scheme}:// is not known")
    bucket, prefix = bucket_and_prefix(url)
    return Bucket(connect(bucket, options), bucket, prefix)


@contextmanager
def open_local(store: Store, name: str, scratch: Path) -> Iterator[BinaryIO]:
    """Open a file of a store, seekable and local; FileNotFoundError when there is none.

    An object of a bucket is downloaded into the folder `scratch`, and deleted afterwards.
    """
    if store.local is not None:
        with store.local.open(name) as file:
            yield file
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        copy = Path(folder, "file")
        store.fetch(name, copy)
        with copy.open("rb") as file:
            yield file


def move_between_stores(source: Store, name: str, target: Store, to: str) -> None:
    """Move a file from one store to another: it is complete in `target` before it is deleted.

    `name` is its name in `source` and `to` the new one. A move that was killed can be repeated.
    Raises FileNotFoundError when `source` does not have the file.
    """
    if isinstance(source, Folder):
        if isinstance(target, Folder):
            source.move_out(name, target, to)
            return
        with source.open(name) as file:
            target.put(to, file)
    elif isinstance(source, Bucket) and isinstance(target, Folder):
        target.write(to, source.pieces(name))
    elif not _copied(source, name, target, to):
        with tempfile.TemporaryDirectory() as folder:
            source.fetch(name, Path(folder, "file"))
            target.put(to, Path(folder, "file"))
    source.delete(name)


def _copied(source: Store, name: str, target: Store, to: str) -> bool:
    if not (isinstance(source, Bucket) and isinstance(target, Bucket)):
        return False
    if not source.shares_server(target):
        return False
    source.copy_to(name, target, to)
    return True
