"""Reads the address of a place: a path, `file://` or `s3://BUCKET/PREFIX`.

Whoever wants to know whether a place is a folder of this machine asks here.
"""

from os.path import normpath
from pathlib import Path
from urllib.parse import unquote, urlsplit

SCHEMES = frozenset({None, "file", "s3"})
"""What may stand before the `://` of an address; a path has none."""


def scheme_of(address: str) -> str | None:
    """Return what stands before `://`; None for a path."""
    before, parted, _ = address.partition("://")
    return before if parted else None


def local_folder(address: str) -> Path | None:
    """Return the folder of a path or file:// URL; None for a place that is elsewhere."""
    match scheme_of(address):
        case None:
            return Path(address)
        case "file":
            return Path(unquote(urlsplit(address).path))
    return None


def bucket_and_prefix(address: str) -> tuple[str, str]:
    """Return the two parts of an s3:// URL; the prefix has no slash at its ends."""
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    return bucket, prefix.strip("/")


def absolute(address: str) -> str:
    """Return the path of a local folder, from the root; a URL without a slash at its end."""
    folder = local_folder(address)
    return address.rstrip("/") if folder is None else str(folder.absolute())


def normal(address: str) -> str:
    """Return an address without `.`, `..` and doubled slashes: equal places are equal then."""
    scheme, parted, rest = address.partition("://")
    return f"{scheme}://{normpath(rest)}" if parted else normpath(address)
