"""Derives the packing of a file from its name; `known_formats` derives the format from the rest.

Every packing is listed here and nowhere else, and so are the characters that may separate columns.
The triggerer imports this module.
"""

from enum import StrEnum


class Packing(StrEnum):
    """How a file is compressed; the values are the suffixes."""

    GZ = "gz"
    ZST = "zst"
    BZ2 = "bz2"
    ZIP = "zip"


SEPARATORS = b",;\t|"
"""Characters that may separate the columns of a text."""


def packing(name: str) -> Packing | None:
    """Return how a file of this name is packed; None for one that is not."""
    _, dot, ending = name.lower().rpartition(".")
    return next((one for one in Packing if dot and one == ending), None)


def name_unpacked(name: str) -> str:
    """Return a file's name without the suffix of its packing."""
    packed = packing(name)
    return name[: -len(packed) - 1] if packed else name
