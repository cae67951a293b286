"""The seam of file formats: what a format answers.

A format is a module with a class of this form and an entry in `known_formats`. The triggerer asks
formats whether a file is complete, so such a module imports what parses only in `open`.
"""

from typing import TYPE_CHECKING, Protocol

from include.formats.delivered_file import DeliveredFile

if TYPE_CHECKING:
    from include.formats.parsed_table import ParsedTable, StatedFormat

EMPTY = "the file is empty: 0 bytes came"


class FileFormat(Protocol):
    """A way to write the rows of a file."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Ends of names that state this format, in small letters and with their dot."""

    @property
    def packed_refusal(self) -> str:
        """What is told of a file in it that came packed; empty where it may be packed."""

    def reaches_its_end(self, head: bytes, tail: bytes) -> bool:
        """Say whether a file seems whole, by its first and its last megabyte, unpacked."""

    def open(self, delivered: DeliveredFile, stated: "StatedFormat") -> "ParsedTable":
        """Open a file; raises FileRefusedError when it has no table of this format in it."""
