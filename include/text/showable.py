r"""Makes text from outside safe to show and to store anywhere.

File names, headers, JSON keys, notes and other programs' messages may hold NUL, which PostgreSQL
cannot store, lone surrogates, which no encoding accepts, control sequences of terminals, and
characters that reverse a line or cannot be seen. All text that leaves the product goes through
here, and such characters are shown as `\x00` or `\u202e`. Applied twice it changes nothing more.
"""

import sys
import unicodedata
from typing import Any

LONGEST = 4_000
"""Characters; a longer text is cut and ends with a mark of that."""
_CUT = " ... (cut)"
_UNSHOWABLE = frozenset({"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"})
"""Unicode categories of control and format characters (text direction, zero width), of unassigned
ones, surrogates, and line and paragraph separators."""
_BLANK = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Characters that count as letters or symbols but cannot be seen."""
# How Python carries a byte of a file name that is not UTF-8.
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
_BYTE_OFFSET = 0xDC00


def showable(text: str, longest: int = LONGEST) -> str:
    """Return a text of one or more lines with every character that cannot be shown escaped."""
    return _bounded(text, longest, keep="\n\t")


def showable_name(name: str, longest: int = LONGEST) -> str:
    r"""Return a name like `showable` does, but always on one line.

    A byte that is not UTF-8 is shown as `\xff`.
    """
    return _bounded(name, longest, keep="")


def showable_row(text: str) -> str:
    """Return the text of a row at any length; line ends and tabs stay."""
    return _bounded(text, sys.maxsize - 1, keep="\n\t\r")


def showable_values(value: Any) -> Any:
    """Return plain JSON values with every text in them, keys too, made showable."""
    if isinstance(value, str):
        return showable(value)
    if isinstance(value, dict):
        return {showable_values(key): showable_values(part) for key, part in value.items()}
    many = isinstance(value, list | tuple)
    return [showable_values(part) for part in value] if many else value


def _bounded(text: str, longest: int, keep: str) -> str:
    # One character more than allowed, so that a text that is shown twice is cut once.
    shown = text[: longest + 1]
    if not shown.isprintable() or not _BLANK.isdisjoint(shown):
        shown = "".join(
            character if character in keep else _shown(character) for character in shown
        )
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
