"""What a text looks like, whatever notation its column is in: a number, a date, a time of day."""

import re

from include.text.nearest import without_unseen
from serving.values.notation import Notation, number_reader
from serving.values.spelling import AROUND

_SIGNS = "$\u00a2-\u00a5\u0e3f\u20a0-\u20cf\uff04\uffe0\uffe1\uffe5\uffe6\u5186\u5143\uc6d0"
"""Signs of currencies, as in a class of a pattern: $, €, £, ¥ and all that Unicode has, 円."""
_CODES = (
    *("USD", "EUR", "GBP", "JPY", "CHF", "CNY", "INR", "BRL", "MXN", "ARS", "CLP", "COP", "PEN"),
    *("AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "TRY", "RUB", "UAH"),
    *("ZAR", "KRW", "SGD", "HKD", "THB", "IDR", "MYR", "PHP", "VND", "ILS", "AED", "SAR", "EGP"),
    *("NGN", "KES", "GHS", "MAD", "TND", "QAR", "KWD", "BHD", "OMR", "JOD", "PKR", "BDT", "LKR"),
    *("NPR", "TWD", "ISK", "BGN", "RSD", "GEL", "KZT", "UZS", "UYU", "PYG", "BOB", "CRC", "DOP"),
    *("kr", "kr.", "zł", "Kč", "Ft", "Fr", "Fr.", "Rs", "Rs.", "lei"),
)
_MARK = (
    rf"(?:[A-Z]{{0,3}}[{_SIGNS}]|{'|'.join(map(re.escape, sorted(_CODES, key=len, reverse=True)))})"
)
_MINUS = "-\u2010-\u2013\u2212\ufe63\uff0d"
"""A minus, a hyphen or a dash, as in a class of a pattern."""
_SPACE = "[ \u00a0\u202f\u2009]"
_AROUND_MARK = f"[{_MINUS}+() \u00a0\u202f\u2009]*+"
_CURRENCY = (
    re.compile(rf"{_AROUND_MARK}({_MARK})"),
    re.compile(rf"({_MARK}){_AROUND_MARK}$"),
)
_UNIT = (
    r"(?:[kKMB]|[mkc]?g|[mck]m|m?[lL]|\u00b0 ?[CF]?|\u2030|[kMGT]i?B|k?Wh?|[kMG]?Hz"
    r"|lbs?|oz|ft|mph|km/h|[CD][Rr]\.?)"
)
_DIGITS = r"(?:\d[\d.,'\u2019_\u00a0\u202f ]*(?:[eE][-+]?\d+)?|[.,]\d+)"
LIKE_NUMBER = re.compile(
    rf"'?[{_MINUS}+]?\(?[{_MINUS}+]?{_SPACE}?(?:{_MARK}|%)?{_SPACE}?[{_MINUS}+]?\(?"
    rf"{_DIGITS}{_SPACE}?(?:{_MARK}|%|{_UNIT})?\)?[{_MINUS}']?"
    rf"|[A-Z]{{0,3}}[{_SIGNS}]{_SPACE}?{_DIGITS}{_SPACE}?[^\W\d_]+\.?"
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? +)"
_MONTH_NUMBER = r"(?:0?[1-9]|1[0-2])"
LIKE_DATE = re.compile(
    rf"{_DAY}?(?:\d{{1,4}}([-./ ])\d{{1,2}}\1\d{{1,4}}"
    r"|\d{1,4}(?:st|nd|rd|th)?[-./ ]?[^\W\d_]{3,10}\.?[-./, ]+\d{2,4}"
    rf"|{_MONTH}[- ]\d{{1,2}},? +\d{{4}}|{_MONTH}[-/ ]\d{{2,4}}"
    rf"|\d{{4}}[-/]{_MONTH_NUMBER}|{_MONTH_NUMBER}[-/]\d{{4}}|\d{{8}}T\d{{4,6}}|\d{{4}}-?W\d\d-?\d?"
    r"|\d{4} ?[\u5e74\ub144] ?\d{1,2} ?[\u6708\uc6d4] ?\d{1,2} ?[\u65e5\uc77c])(?:[TZ ,+].*)?"
    rf"|{_DAY}{_MONTH} +\d{{1,2}}[ ,].*\d{{4}}",
    re.IGNORECASE,
)
DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y"),
    *("%m-%d-%Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %b %y", "%b %d, %Y", "%b %d %Y"),
    *("%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d", "%d/%b/%Y"),
    *("%d/%b/%y", "%d. %b %Y", "%Y-%b-%d", "%d%b%Y", "%b-%Y", "%b %Y", "%b-%y", "%y-%b", "%Y-%m"),
    *("%m/%Y", "%Y/%m"),
)
"""The forms of dates that are known."""
_DIVIDED_BY_ZERO = "#DIV/0!"
"""A spreadsheet has no number there, as for #VALUE!."""
_LONGEST = 200
"""Characters of a number, a date or a time; a longer text is none."""
_BOUND = re.compile(r"[<>~\u2264\u2265\u2248]=?\s*(.+)|(.+?)\s*\+")
"""What is known of a number only in part: <5, >= 100, 3+."""
LIKE_TIME = re.compile(
    r"\d{1,3}:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?"
    r"(?: ?(?:Z|UTC|GMT|CES?T|E[SD]T|P[SD]T|[-+]\d\d(?::?\d\d)?))?"
    r"|PT?(?:\d+(?:[.,]\d+)?[YMWDHS]T?)+|(?:\d+ ?(?:d|hr?s?|m|min|s|sec)\.? ?){2,}",
    re.IGNORECASE,
)


def is_other_number(text: str) -> bool:
    """Say whether a text that is no number in its column's notation may be one in another.

    Among numbers a text with a digit is one that is written otherwise, or the name of something, as
    in a column of numbered things of which some have letters: only its sender can tell.
    """
    text = text.strip(AROUND)
    return any(map(str.isnumeric, text)) and not is_plain(text) and text != _DIVIDED_BY_ZERO


def _is_serial(text: str) -> bool:
    """Say whether a text among dates is a number, as a spreadsheet stores a day; not a zero."""
    return is_plain(text) and abs(float(text.replace("_", "-"))) >= 1


def is_other_date(text: str) -> bool:
    """Say whether a text that is no date in its column's notation is one in another."""
    forms = (number_reader(Notation(date=form)) for form in DATES)
    return _is_serial(text) or any(read(text) is not None for read in forms)


def resembles(pattern: re.Pattern[str], text: str) -> bool:
    """Say whether a text looks like what a pattern describes, whatever in it cannot be seen."""
    return len(text) <= _LONGEST and bool(pattern.fullmatch(without_unseen(text)))


def is_plain(text: str) -> bool:
    """Say whether a text is a plain number, also one beyond the range of float64."""
    try:
        float(text.replace("_", "-"))
    except ValueError:
        return False
    return text.strip(AROUND).isascii()  # float reads the digits of every script


def is_bound(text: str) -> bool:
    """Say whether a text gives only a limit of a number, such as 3+ or <5."""
    match = _BOUND.fullmatch(text) if len(text) <= _LONGEST else None
    return match is not None and bool(LIKE_NUMBER.fullmatch(match[1] or match[2]))


def currency_of(text: str) -> str:
    """Return the currency that an amount names, empty where it names none."""
    if len(text) > _LONGEST or not LIKE_NUMBER.fullmatch(text):
        return ""
    before, behind = _CURRENCY
    match = before.match(text) or behind.search(text)
    return match.group(1) if match else ""
