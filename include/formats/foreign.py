"""Recognises files that hold no table Ratchet reads, by their first bytes, and says what to do.

The triggerer imports this module.
"""

import re

from include.store.units import KIB
from include.text.encodings import looks_like_utf_16, marked_encoding, must_be_utf_8

HEAD_BYTES = 64 * KIB
PARQUET_MAGIC = b"PAR1"
_PACK_ONCE = "{} under another name, or packed twice: pack it once and name the file {}"
_TABLE = "{}: save the table as CSV or Parquet"
_STARTS: dict[bytes, str] = {
    b"PK\x03\x04": "an Excel workbook or another zip archive: save the sheet as CSV, or name an "
    "archive with one CSV file in it .zip",
    b"PK\x05\x06": "an empty zip archive: send the file itself",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Excel workbook or another Office document, or one "
    "locked with a password: save the sheet as CSV",
    b"%PDF-": "a PDF document: save its table as CSV",
    b"{\\rtf": "a document in rich text: save its table as CSV",
    b"\x89PNG\r\n": "a picture: send the rows as CSV",
    b"\xff\xd8\xff": "a picture: send the rows as CSV",
    b"GIF87a": "a picture: send the rows as CSV",
    b"GIF89a": "a picture: send the rows as CSV",
    b"II*\0": "a picture: send the rows as CSV",
    b"MM\0*": "a picture: send the rows as CSV",
    b"\x1f\x8b": _PACK_ONCE.format("gzip data", ".gz"),
    b"\x28\xb5\x2f\xfd": _PACK_ONCE.format("zstd data", ".zst"),
    b"\xfd7zXZ\0": "xz data: pack the file as .gz, .zst or .bz2",
    b"\x04\x22\x4d\x18": "lz4 data: pack the file as .gz, .zst or .bz2",
    b"\x1f\x9d": "compress data: pack the file as .gz, .zst or .bz2",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: pack the file as .gz, .zst or .zip",
    b"Rar!\x1a\x07": "a rar archive: pack the file as .gz, .zst or .zip",
    b"Obj\x01": _TABLE.format("an Avro file"),
    b"ARROW1\0\0": _TABLE.format("an Arrow or Feather file"),
    b"FEA1\0": _TABLE.format("a Feather file"),
    b"\xff\xff\xff\xff": _TABLE.format("an Arrow stream or another binary file"),
    b"SQLite format 3\0": _TABLE.format("an SQLite database"),
    b"\x89HDF\r\n": _TABLE.format("an HDF5 file"),
    b"CDF\x01": _TABLE.format("a NetCDF file"),
    b"\x93NUMPY": _TABLE.format("a NumPy array"),
    b"RDX2\n": _TABLE.format("an R data file"),
    b"RDX3\n": _TABLE.format("an R data file"),
    b"<stata_dta>": _TABLE.format("a Stata file"),
    b"$FL2@(#)": _TABLE.format("an SPSS file"),
    b"MATLAB 5.0 MAT-file": _TABLE.format("a MATLAB file"),
    b"\0\x01\0\0Standard ": _TABLE.format("an Access database"),
    b"\x7fELF": "a program: send the rows as CSV",
}
# These may begin a header too, so what follows is checked as well.
_PATTERNS: dict[re.Pattern[bytes], str] = {
    re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"): _PACK_ONCE.format("bzip2 data", ".bz2"),
    re.compile(rb"PAR1[\x00-\x08\x0e-\x1f]"): "Parquet data under another name: name the file "
    ".parquet, and do not pack it",
    re.compile(rb"PARE[\x00-\x08\x0e-\x1f]"): "an encrypted Parquet file: save it without "
    "encryption",
    re.compile(rb"ORC.{0,5}[\x00-\x08\x0e-\x1f]", re.DOTALL): _TABLE.format("an ORC file"),
    re.compile(rb"\x80[\x02-\x05][\x95}\](cX]"): _TABLE.format("a Python pickle"),
    re.compile(rb"RIFF....WEBP", re.DOTALL): "a picture: send the rows as CSV",
    re.compile(rb".{8}DUCK.\0\0\0", re.DOTALL): _TABLE.format("a DuckDB database"),
    re.compile(rb".{257}ustar", re.DOTALL): "a tar archive: send the one file in it",
}
_MARKUP = re.compile(
    rb"\s*<(!doctype|html|head|body|meta|title|link|style|script|table|div|!--|\?xml|svg)\b",
    re.IGNORECASE,
)
_ARRAY = re.compile(rb"\s*\[\s*[\[{]")
_OBJECT = re.compile(rb'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:')
_WIDE = ("utf-16", "utf-32")
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
_MOST_CONTROL_SHARE = 1 / 8


def foreign_data(head: bytes) -> str | None:
    """Say what a file is that begins so, and what to do; None when it may hold text."""
    known = next((what for start, what in _STARTS.items() if head.startswith(start)), None)
    return known or next((what for start, what in _PATTERNS.items() if start.match(head)), None)


def foreign_text(head: bytes) -> str | None:
    """Say what a UTF-8 text is that begins so, and what to do; None when it may hold rows."""
    if _MARKUP.match(head):
        if b"Excel.Sheet" in head or b"urn:schemas-microsoft-com:office:spreadsheet" in head:
            return "an Excel workbook saved as XML: save its sheet as CSV"
        if b"<?xml" in head[:100].lower() and b"<html" not in head.lower():
            return "an XML document: save its table as CSV"
        return (
            "an HTML page, perhaps of a login or an error: fetch the file itself again, or save "
            "the page's table as CSV"
        )
    if _ARRAY.match(head):
        return (
            "a JSON array: write JSON lines, an object a line without brackets around them and "
            "commas between them"
        )
    line = head.partition(b"\n")[0]
    if len(line) - len(line.translate(None, _CONTROL)) > len(line) * _MOST_CONTROL_SHARE:
        return "neither text nor data of a kind that is read here: save the table as CSV or Parquet"
    return None


def looks_like_json(head: bytes) -> bool:
    """Say whether a text begins with a JSON object."""
    return bool(_OBJECT.match(head))


def another_encoding(head: bytes, encoding: str) -> str | None:
    """Say that a text is not in the encoding of the spec; None when it may be."""
    actual = marked_encoding(head)
    if actual is None and encoding in {"utf-8", "ascii"} and looks_like_utf_16(head):
        actual = "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    if actual is None and encoding.startswith(_WIDE) and head and b"\0" not in head:
        return (
            f"the text is not {encoding.upper()} as the spec states: save it as that, or as UTF-8 "
            "with a byte order mark"
        )
    if actual is None and must_be_utf_8(head, encoding):
        return (
            f"the text is UTF-8, not {encoding.upper()} as the spec states: save it as that, or "
            "with a byte order mark, or take `encoding` out of the spec"
        )
    if actual in {None, "utf-8", encoding} or actual.startswith(f"{encoding}-"):
        return None
    # Where there is a byte order mark, the spec need not state the byte order.
    stated = actual.removesuffix("-le").removesuffix("-be") if marked_encoding(head) else actual
    return (
        f"the text is {stated.upper()}, not {encoding.upper()}: save it as UTF-8, or state "
        f'encoding = "{stated}" under [data] in the spec'
    )
