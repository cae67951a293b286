r"""What came from outside, as text that can be shown and stored anywhere.

File names, headers, JSON keys, notes and other programs' messages may hold NUL, which PostgreSQL
stores in no text, lone surrogates, which no encoding takes, sequences that steer a terminal, and
marks that turn a line around or cannot be seen. Whatever leaves the product as text goes through
here, and shows such characters as `\x00` or `\u202e`. What is shown already stays as it is.
"""

import sys
import unicodedata
from typing import Any

LONGEST = 4_000
"""In characters; what is longer is cut, and ends with a sign of that."""
_CUT = " ... (cut)"
_UNSHOWABLE = frozenset({"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"})
"""Unicode's categories of control and format characters (marks of direction, of no width),
unassigned ones, surrogates, and its own ends of lines and paragraphs."""
_BLANK = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Letters by their category that nobody can see."""
# How Python carries a byte of a file name that is not UTF-8.
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
_BYTE_OFFSET = 0xDC00


def showable(text: str, longest: int = LONGEST) -> str:
    """Return a text of one line or several with everything that cannot be shown escaped."""
    return _bounded(text, longest, keep="\n\t")


def showable_name(name: str, longest: int = LONGEST) -> str:
    r"""Return a name: as `showable` does, but a name is never more than one line.

    A byte that is not UTF-8 is shown as `\xff`.
    """
    return _bounded(name, longest, keep="")


def showable_row(text: str) -> str:
    """Return the text of a row of any length; the line ends and tabs of its format stay."""
    return _bounded(text, sys.maxsize - 1, keep="\n\t\r")


def showable_values(value: Any) -> Any:
    """Return plain JSON values with every text among them, keys too, showable."""
    if isinstance(value, str):
        return showable(value)
    if isinstance(value, dict):
        return {showable_values(key): showable_values(one) for key, one in value.items()}
    many = isinstance(value, list | tuple)
    return [showable_values(one) for one in value] if many else value


def _bounded(text: str, longest: int, keep: str) -> str:
    # One more than may stay: whether a text is cut does not change when it is shown again.
    shown = text[: longest + 1]
    if not shown.isprintable() or not _BLANK.isdisjoint(shown):
        shown = "".join(one if one in keep else _shown(one) for one in shown)
    return shown if len(shown) <= longest else shown[: longest - len(_CUT)] + _CUT


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _UNSHOWABLE and character not in _BLANK:
        return character
    number = ord(character)
    if _FIRST_BYTE <= number <= _LAST_BYTE:
        number -= _BYTE_OFFSET
    if number <= 0xFF:  # noqa: PLR2004 - two hexadecimal digits
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 - four
