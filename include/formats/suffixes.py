"""Derives packing and format of a file from its name.

Every suffix is listed here and nowhere else, and so are the characters that may separate columns.
The triggerer imports this module.
"""

from typing import Literal

Format = Literal["parquet", "json", "text"]

_FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "text",
    ".tsv": "text",
    ".txt": "text",
}
SEPARATORS = b",;\t|"
"""Characters that may separate the columns of a text."""
_PACKINGS = ("gz", "zst", "bz2", "zip")


def packing(name: str) -> str:
    """Return `gz`, `zst`, `bz2` or `zip`; empty for a file that is not packed."""
    ending = name.lower().rpartition(".")[2]
    return ending if ending in _PACKINGS and "." in name else ""


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
    return stated_format(name) or "text"
