"""Derives packing and format of a file from its name.

Every suffix is listed here and nowhere else, and so are the characters that may separate columns.
The triggerer imports this module.
"""

from enum import StrEnum


class Format(StrEnum):
    """How the rows of a file are written."""

    PARQUET = "parquet"
    JSON = "json"
    """JSON lines."""
    TEXT = "text"
    """Delimited text."""


class Packing(StrEnum):
    """How a file is compressed; the values are the suffixes."""

    GZ = "gz"
    ZST = "zst"
    BZ2 = "bz2"
    ZIP = "zip"


_FORMATS: dict[str, Format] = {
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".jsonl": Format.JSON,
    ".ndjson": Format.JSON,
    ".json": Format.JSON,
    ".csv": Format.TEXT,
    ".tsv": Format.TEXT,
    ".txt": Format.TEXT,
}
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


def stated_format(name: str) -> Format | None:
    """Return the format that a name states, its packing aside; None when it states none."""
    plain = name_unpacked(name).lower()
    return next((kind for suffix, kind in _FORMATS.items() if plain.endswith(suffix)), None)


def format_of(name: str) -> Format:
    """Return the format that a name states; delimited text when it states none."""
    return stated_format(name) or Format.TEXT
