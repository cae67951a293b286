"""How the texts of a column write numbers, dates and truths, and how they are read.

One reader for training and server: what a file says and what a caller sends become the same
number. A date becomes days since 1970-01-01, the time of day as a fraction, an offset taken off:
float32, in which models compute, keeps a day of any century, but rounds seconds since 1970 to 128.

    >>> number_reader(Notation(decimal=",", thousands=".", currency="€"))("-1.234,50 €")
    -1234.5
    >>> number_reader(Notation(date="%d-%b-%y"))("26-Jan-07")
    13539.0
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from functools import cache
from typing import Any

from serving.values.spelling import AROUND, truth

Reader = Callable[[str], float | None]
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "january"),
            ("feb", "february"),
            ("mar", "march"),
            ("apr", "april"),
            ("may",),
            ("jun", "june"),
            ("jul", "july"),
            ("aug", "august"),
            ("sep", "september", "sept"),
            ("oct", "october"),
            ("nov", "november"),
            ("dec", "december"),
        ),
        1,
    )
    for name in names
}
_PARTS = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"(?P<d>\d{1,2})",
    "b": r"(?P<b>[A-Za-z]+)\.?",
    "B": r"(?P<b>[A-Za-z]+)\.?",
}
_TIME = (
    r"(?:(?:T|t| +)(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2}(?:[.,]\d{1,9})?))?"
    r" ?(?P<half>[AaPp]\.?[Mm]\.?)?"
    r" ?(?:(?P<utc>Z|z|UTC|GMT)|(?P<sign>[+-])(?P<oh>\d{2}):?(?P<om>\d{2})?)?)?"
)
_SPACES = "[ \u00a0\u202f\u2009]"
_GAPS = {" ": _SPACES, "'": "['\u2019]"}
"""What a separator of thousands may be written as."""
_MINUS = "-\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"
"""A minus as it is typed, typeset or made of a hyphen by a word processor."""
_CENTURY = 69
"""Years of two digits from here on are of the last century, as POSIX has it."""
_DAY_1970 = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Notation:
    """How a column's texts write its values; as it is made, plain numbers such as -1.5e3."""

    decimal: str = "."
    thousands: str = ""
    currency: str = ""
    """A sign or a word before or behind the number, such as $ or EUR."""
    percent: bool = False
    """Whether a sign of per cent may follow or come first; 12 % is read as 12."""
    parentheses: bool = False
    """Whether (12) is -12."""
    date: str = ""
    """`%d-%b-%y` and the like; a time of day may follow."""
    boolean: bool = False
    """Whether the values are truths: true, yes, 1 or false, no, 0 in any case."""

    @property
    def told(self) -> dict[str, Any]:
        """What differs from plain numbers, by its name."""
        plain = asdict(PLAIN)
        return {name: value for name, value in asdict(self).items() if value != plain[name]}


PLAIN = Notation()


def read_notation(fields_of: Mapping[str, Any]) -> Notation:
    """Return a notation from what `told` has of it; TypeError for a name that is none."""
    types = {one.name: type(one.default) for one in fields(Notation)}
    for name, value in fields_of.items():
        if name not in types or type(value) is not types[name]:
            raise TypeError(f"{name} is no part of a notation")
    return Notation(**fields_of)


def example(notation: Notation) -> str:
    """Return a text in a notation, for people who have to write such."""
    if notation.boolean:
        return "true or false"
    if notation.date:
        return date(2024, 12, 31).strftime(notation.date)
    number = f"1{notation.thousands}234{notation.decimal}5"
    return f"{notation.currency}{number}{'%' * notation.percent}"


@cache
def number_reader(notation: Notation) -> Reader:
    """Return what reads a text of this notation: a finite number, None where it is none."""
    if notation.boolean:
        return _as_truth
    if notation.date:
        return _date_reader(date_pattern(notation.date))
    return _amount_reader(notation)


def date_pattern(form: str) -> re.Pattern[str]:
    """Return the pattern of a date's text; ValueError where the form does not make one date."""
    named = re.findall("%(.)", form)
    years, months, days = ([one for one in named if one in kind] for kind in ("Yy", "mbB", "d"))
    if len(named) != len(years) + len(months) + len(days) or len(years) != 1 or len(months) != 1:
        raise ValueError(
            f"{form} does not make a date: name the year as %Y or %y, the month as %m or %b and "
            "the day as %d, once each"
        )
    if len(days) > 1:
        raise ValueError(f"{form} names the day twice")
    parts = re.split("%(.)", form)
    text = "".join(
        _PARTS[part] if place % 2 else re.escape(part) for place, part in enumerate(parts)
    )
    return re.compile(text + _TIME, re.ASCII)


def _as_truth(text: str) -> float | None:
    said = truth(text)
    return None if said is None else float(said)


def _date_reader(pattern: re.Pattern[str]) -> Reader:
    def read(text: str) -> float | None:
        found = pattern.fullmatch(text.strip(AROUND))
        try:
            return None if found is None else _days(found.groupdict())
        except (ValueError, KeyError):  # a 31st of February, a month that is none
            return None

    return read


def _days(parts: Mapping[str, str | None]) -> float:
    year = int(parts.get("Y") or 0)
    if parts.get("y"):
        short = int(parts["y"] or 0)
        year = short + (1900 if short >= _CENTURY else 2000)
    month = int(parts.get("m") or 0) or _MONTHS[(parts.get("b") or "").lower()]
    day = date(year, month, int(parts.get("d") or 1)).toordinal() - _DAY_1970
    return day + _seconds(parts) / 86_400


def _seconds(parts: Mapping[str, str | None]) -> float:
    """Return the time of day in seconds, in UTC where the text has an offset."""
    hour, minute = int(parts["H"] or 0), int(parts["M"] or 0)
    second = float((parts["S"] or "0").replace(",", "."))
    if half := parts["half"]:
        if not 1 <= hour <= 12:  # noqa: PLR2004 - a clock of two halves
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    if hour > 23 or minute > 59 or second >= 61:  # noqa: PLR2004 - a clock
        raise ValueError("no such time")
    offset = 3600 * int(parts["oh"] or 0) + 60 * int(parts["om"] or 0)
    return 3600 * hour + 60 * minute + second - (-offset if parts["sign"] == "-" else offset)


def _amount_reader(notation: Notation) -> Reader:
    gap = _GAPS.get(notation.thousands, re.escape(notation.thousands))
    grouped = rf"\d{{1,3}}(?:{gap}\d{{3}})+|" if gap else ""
    if gap == ",":  # in India groups of two come before the last three digits: 12,34,567
        grouped += r"\d{1,2}(?:,\d{2})+,\d{3}|"
    decimal = re.escape(notation.decimal)
    number = rf"(?P<number>(?:(?:{grouped}\d+)(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?)"
    sign = f"[{_MINUS}+]?"
    unit = f"(?:{re.escape(notation.currency)})?" if notation.currency else ""
    space = f"{_SPACES}*+"  # once is enough: two that share a run try each way to cut it
    percent = "%?" if notation.percent else ""
    pattern = re.compile(
        rf"(?P<minus>{sign}){space}(?:{percent}|{unit}){space}(?P<later>{sign}){number}{space}"
        rf"(?:{percent}|{unit})",
        re.ASCII,
    )
    gaps = re.compile(gap) if gap else None

    def read(text: str) -> float | None:
        text, negative = _without_parentheses(text.strip(AROUND), notation)
        found = pattern.fullmatch(text)
        if found is None or (found["minus"] and found["later"]) or (negative and found["minus"]):
            return None
        digits = found["number"] if gaps is None else gaps.sub("", found["number"])
        value = _plain(digits.replace(notation.decimal, "."))
        minus = negative or bool({found["minus"], found["later"]} & set(_MINUS))
        return -value if minus and value is not None else value

    return read


def _without_parentheses(text: str, notation: Notation) -> tuple[str, bool]:
    """Return what parentheses hold, with a currency before or behind them, and whether there are.

    `(5)`, `($5)` and `$(5)` are minus five.
    """
    if not notation.parentheses or "(" not in text:
        return text, False
    start, end = text.find("("), text.rfind(")")
    around = (text[:start].strip(AROUND), text[end + 1 :].strip(AROUND)) if end > start else ("?",)
    if any(one not in {"", notation.currency} for one in around):
        return text, False
    return text[start + 1 : end].strip(AROUND), True


def _plain(digits: str) -> float | None:
    try:
        value = float(digits) if "_" not in digits else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
