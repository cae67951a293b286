"""Converts text in other encodings to UTF-8, a piece at a time."""

import codecs
import re
from collections.abc import Iterator

UTF_8 = "utf-8"
BOM = codecs.BOM_UTF8
_TEXTS = re.compile(
    r"ascii|utf-(8|16|32)(-sig|-le|-be)?|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|"
    r"gb2312|gbk|gb18030|big5(hkscs)?|shift_jis|euc_(jp|kr)|johab|tis-620|kz1048|ptcp154"
)
# One byte a letter; two letters of these scripts in a row are hardly ever valid UTF-8.
_ONE_BYTE = re.compile(r"iso8859-([1-9]|1[03-6])|cp125\d|koi8-[rtu]|mac-\w+")
# In this order, because the mark of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_ILL = "ratchet-ill-formed"


def encoding_name(name: str) -> str:
    """Return Python's own name of a text encoding; raises ValueError for an unknown one."""
    try:
        python_name = codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise ValueError(f"'{name}' is no encoding such as windows-1252 or utf-16") from error
    if not _TEXTS.fullmatch(python_name):
        raise ValueError(f"'{name}' is no encoding of plain text such as windows-1252 or utf-16")
    return python_name.removesuffix("-sig")


def marked_encoding(start: bytes) -> str | None:
    """Return the encoding of the byte order mark at the start of a text, None without one."""
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)


def looks_like_utf_16(start: bytes) -> bool:
    """Say whether every other byte is zero, as in western text in UTF-16."""
    even, odd = start[0::2], start[1::2]
    zeros, others = sorted([even.count(0), odd.count(0)], reverse=True)
    return len(odd) > 1 and 2 * zeros > len(odd) and 10 * others < zeros


def must_be_utf_8(start: bytes, encoding: str) -> bool:
    """Say whether a text stated to have one byte a letter can only be UTF-8."""
    if start.isascii() or not _ONE_BYTE.fullmatch(encoding):
        return False
    try:
        codecs.getincrementaldecoder(UTF_8)().decode(start)
    except UnicodeDecodeError:
        return False
    return True


def utf_8(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the same text in UTF-8; ill-formed input becomes bytes that are ill-formed UTF-8."""
    if encoding == UTF_8:
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(encoding)(_ILL)
    for piece in pieces:
        yield decoder.decode(piece).encode(errors="surrogateescape")
    yield decoder.decode(b"", final=True).encode(errors="surrogateescape")


def _ill_formed(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    # Python's surrogateescape: U+DC80 to U+DCFF stand for single bytes from 0x80 on.
    return "\udcff", error.end


codecs.register_error(_ILL, _ill_formed)
