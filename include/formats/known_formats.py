"""The formats that deliveries may have, and which of them a name states.

This list is the only place that names them. The triggerer imports this module.
"""

from include.formats.delimited_format import DelimitedFormat
from include.formats.file_format import FileFormat
from include.formats.json_lines_format import JsonLinesFormat
from include.formats.parquet_format import ParquetFormat
from include.formats.suffixes import name_unpacked

_UNSTATED: FileFormat = DelimitedFormat()
FORMATS: tuple[FileFormat, ...] = (ParquetFormat(), JsonLinesFormat(), _UNSTATED)


def stated_format(name: str) -> FileFormat | None:
    """Return the format that a name states, its packing aside; None when it states none."""
    plain = name_unpacked(name).lower()
    return next((one for one in FORMATS if plain.endswith(one.suffixes)), None)


def format_of(name: str) -> FileFormat:
    """Return the format that a name states; delimited text when it states none."""
    return stated_format(name) or _UNSTATED
