"""Quotes, separators and line ends of a text, and where a quote does not stand as it should."""

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
"""In words: how far an odd quote is looked for at first."""


@dataclass(frozen=True)
class Marks:
    """The marks of a text that starts with a row, as bits; `inside` is changed by `settle`."""

    length: int
    separators: Bits
    line_ends: Bits
    inside: Bits
    """What stands between quotes, opening ones included."""
    bad_opening: Bits
    """Quotes that may not open a field: what stands before them is no border of one."""
    bad_closing: Bits
    """Quotes that may not close one."""

    @property
    def is_open(self) -> bool:
        """Whether the text ends inside quotes."""
        return is_set(self.inside, self.length - 1)

    def odd_quote(self, start: int) -> int | None:
        """Return the first quote from `start` on that neither opens, closes nor doubles one."""
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
        """Return where the last row ends whose line end stands before `stop`; 0 if none does."""
        place = last_place(self.line_ends, self.inside, stop)
        return 0 if place is None else place + 1

    def settle(self, start: int, stop: int, end: int) -> None:
        """Make one row of what the csv module reads as one, its line end from `stop` to `end`."""
        if is_set(self.inside, end - 1):
            # Behind it is outside, as at the start of any row.
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
    # A quote beside one that opens has closed the one before: the two are a doubled quote.
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
    """Say whether every quote of a row opens, closes or doubles one as RFC 4180 has it."""
    return _regular(separator).fullmatch(row) is not None


@cache
def _regular(separator: int) -> re.Pattern[bytes]:
    mark = re.escape(bytes([separator]))
    field = rb'(?:"(?:[^"]++|"")*+"|[^"\r\n' + mark + rb"]*+)"
    return re.compile(field + rb"(?:[\r\n" + mark + rb"]" + field + rb")*+")
