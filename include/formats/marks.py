"""Bitmaps of the quotes, separators and line ends of a text, and of quotes that are misplaced."""

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from include.formats.bits import (
    Bits,
    assign,
    equal,
    first_place,
    following,
    is_set,
    last_place,
    odd_so_far,
    preceding,
    turn,
)

LF, CR, QUOTE = b'\n\r"'
_NEAR = 256
"""Words in which a misplaced quote is looked for first."""


@dataclass(frozen=True)
class Marks:
    """The marks of a text that starts with a row, as bitmaps; `settle` changes `inside`."""

    length: int
    separators: Bits
    line_ends: Bits
    inside: Bits
    """The bytes between quotes, opening quotes included."""
    bad_opening: Bits
    """Quotes that may not open a field, because no separator or line end precedes them."""
    bad_closing: Bits
    """Quotes that may not close a field, because none follows them."""

    @property
    def is_open(self) -> bool:
        """Whether the text ends inside quotes."""
        return is_set(self.inside, self.length - 1)

    def odd_quote(self, start: int) -> int | None:
        """Return the first quote from `start` on that is misplaced, None where there is none."""
        word, step = start >> 6, _NEAR
        while word < len(self.inside):
            some = slice(word, word + step)
            inside = self.inside[some]
            odd = (self.bad_opening[some] & inside) | (self.bad_closing[some] & ~inside)
            if (place := first_place(odd, word)) is not None:
                return place
            word, step = word + step, 4 * step
        return None

    def rows_end(self, stop: int) -> int:
        """Return the end of the last row whose line end comes before `stop`; 0 for none."""
        place = last_place(self.line_ends, self.inside, stop)
        return 0 if place is None else place + 1

    def settle(self, start: int, stop: int, end: int) -> None:
        """Mark what the csv module reads as one row; its line end is from `stop` to `end`."""
        if is_set(self.inside, end - 1):
            # The text behind it is outside quotes, as at the start of any row.
            turn(self.inside, end)
        assign(self.inside, start, stop, value=True)
        assign(self.inside, stop, end, value=False)
        assign(self.bad_opening, start, end, value=False)
        assign(self.bad_closing, start, end, value=False)


def marks(text: bytes, separator: int) -> Marks:
    """Return the marks of a text that starts with a row."""
    data = np.frombuffer(text, np.uint8)
    quotes, separators = equal(data, QUOTE), equal(data, separator)
    feeds = equal(data, LF)
    returns = equal(data, CR) if b"\r" in text else np.zeros_like(feeds)
    # In a doubled quote the first one closes and the second one opens again, so quotes count as
    # borders too.
    borders = quotes | separators | feeds | returns
    before, after = preceding(borders), following(borders)
    before[0] |= np.uint64(1)
    assign(after, max(0, len(data) - 1), len(data), value=True)
    return Marks(
        len(data),
        separators,
        feeds | (returns & ~following(feeds)),
        odd_so_far(quotes),
        quotes & ~before,
        quotes & ~after,
    )


def regular(row: bytes, separator: int) -> bool:
    """Say whether every quote of a row opens, closes or escapes one as in RFC 4180."""
    return _regular(separator).fullmatch(row) is not None


@cache
def _regular(separator: int) -> re.Pattern[bytes]:
    mark = re.escape(bytes([separator]))
    field = rb'(?:"(?:[^"]++|"")*+"|[^"\r\n' + mark + rb"]*+)"
    return re.compile(field + rb"(?:[\r\n" + mark + rb"]" + field + rb")*+")
