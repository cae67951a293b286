"""Detects the notation in which the texts of a first file's column write numbers or dates.

A column that looks like numbers or dates is read in one notation, or the file is refused with the
line of the spec that would state it: read as categories it would be misread silently, and of a
column of amounts exactly the large ones would be lost.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl
from polars import selectors as cs

from include.errors import FileRefusedError
from include.stages.ingest.resemblance import (
    DATES,
    LIKE_DATE,
    LIKE_NUMBER,
    LIKE_TIME,
    currency_of,
    is_bound,
    is_other_date,
    is_other_number,
    is_plain,
    resembles,
)
from include.text.numbers import MISSING
from include.text.showable import showable_name
from serving.values.notation import PLAIN, Notation, number_reader
from serving.values.spelling import TRUTH_WORDS, truth

_SAMPLE = 500
"""Distinct texts, of plain numbers and of others each, that decide which notations are possible."""
_FEW = 2
_STRAY_SHARE = 0.01
"""A column with a larger share of numbers in a second notation is in no notation."""
_SEPARATORS = ((".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"), (".", "_"))
"""Pairs of decimal and thousands separators."""
_NEARLY_ALL = 0.9
_EXAMPLES: Mapping[str, Notation | None] = {
    "numbers": Notation(decimal=","),
    "dates": Notation(date="%d.%m.%Y"),
    "times of day": None,
}


@dataclass(frozen=True)
class ColumnTexts:
    """How many rows hold each text of a column, as far as it is read; missing values left out."""

    name: str
    rows: Mapping[str, int]
    values: pl.Series
    lines: pl.Series

    def shown(self, text: str) -> str:
        """Return a text with the first line that has it, for a message."""
        place = (self.values.str.strip_chars() == text).arg_max() or 0
        return f"'{showable_name(text)}' in line {self.lines[place]}"

    @property
    def total(self) -> int:
        """Rows that are not missing."""
        return sum(self.rows.values())

    def count(self, texts: Iterator[str]) -> int:
        """Return how many rows have one of these texts."""
        return sum(self.rows[text] for text in texts)


def notation_of(name: str, values: pl.Series, lines: pl.Series) -> Notation | None:
    """Return the notation of a text column that holds numbers, None for one of categories.

    `lines` are the line numbers of the rows. Raises FileRefusedError when the texts look like
    numbers or dates, and no notation or more than one reads them.
    """
    texts = _present(values)
    # Then no text is looked at by itself.
    if not texts.cast(pl.Float64, strict=False).null_count():
        return PLAIN
    written = ColumnTexts(name, dict(texts.value_counts(sort=True).iter_rows()), values, lines)
    if _said_truths(written):
        return Notation(boolean=True)
    sample = _sample(written.rows)
    possible = _best(replace(written, rows=sample), [PLAIN, *_amounts(sample), *_dates(sample)])
    best = _best(written, possible) if possible else []
    read = _read(written.rows, best[0]) if best else {}
    if 2 * written.count(iter(read)) < written.total:
        _require_no_number(written)
        return None
    _require_one(written, best)
    _require_all(written, best[0], read)
    return _generous(best[0], written.rows)


_IS_NUMBER = pl.all().cast(pl.Float64, strict=False).is_not_null()


def numeric_columns(frame: pl.DataFrame) -> set[str]:
    """Return the columns of plain numbers and empty fields alone: nearly all of most files."""
    return _columns_of(frame.select((pl.all().is_null() | _IS_NUMBER).all()))


def plain_columns(frame: pl.DataFrame) -> set[str]:
    """Return the columns of plain numbers, spaces around them, and marks of missing values."""
    texts = frame.select(cs.string().str.strip_chars())
    return _columns_of(
        texts.select((pl.all().is_null() | pl.all().is_in(MISSING) | _IS_NUMBER).all())
    )


def _columns_of(answers: pl.DataFrame) -> set[str]:
    """Return the columns of a frame of one row that hold true."""
    return {name for name in answers.columns if answers[name].item()}


def _present(values: pl.Series) -> pl.Series:
    """Return the texts of a column that are not missing, without spaces around them."""
    texts = values.drop_nulls().str.strip_chars().rename("text")
    return texts.filter(~texts.is_in(MISSING))


def _sample(rows: Mapping[str, int]) -> dict[str, int]:
    """Return some of the texts, of plain numbers and of others, each kind evenly spread."""
    plain = [text for text in rows if is_plain(text)]
    others = [text for text in rows if not is_plain(text)]
    some = [text for kind in (plain, others) for text in kind[:: 1 + len(kind) // _SAMPLE]]
    return {text: rows[text] for text in some}


def _said_truths(written: ColumnTexts) -> bool:
    """Say whether a column holds truths in their own words, and no text that is none.

    Of yes and no alone, or y and n, each is a category as good as a truth; true or false, two words
    for one truth, or a word beside a number say more.
    """
    words = {text.casefold() for text in written.rows}
    if any(truth(word) is None for word in words):
        return False
    numbers = {word for word in words if is_plain(word)}
    is_mixed = 0 < len(numbers) < len(words)
    return is_mixed or not words.isdisjoint(TRUTH_WORDS) or len(words) > len(TRUTH_WORDS)


def _read(texts: Mapping[str, int], notation: Notation) -> dict[str, float]:
    """Return the texts that a notation reads, each with its number."""
    read = number_reader(notation)
    return {text: value for text in texts if (value := read(text)) is not None}


def _best(written: ColumnTexts, notations: Sequence[Notation]) -> list[Notation]:
    """Return the notations that read the most rows, simplest first; empty when none reads any."""
    counts = [written.count(iter(_read(written.rows, notation))) for notation in notations]
    most = max(counts, default=0)
    return [
        notation
        for notation, count in zip(notations, counts, strict=True)
        if most and count == most
    ]


def _amounts(texts: Mapping[str, int]) -> Iterator[Notation]:
    """Yield the notations of numbers that these texts may be in."""
    joined = "\n".join(texts)
    if not any(letter.isdigit() for letter in joined):
        return
    marks = {mark for text in texts if (mark := currency_of(text))}
    signs = Notation(percent="%" in joined, parentheses="(" in joined)
    currencies = sorted(marks) or [""]
    for currency in currencies:
        marked = replace(signs, currency=currency)
        yield from (replace(marked, decimal=decimal) for decimal in ".,")
        yield from (
            replace(marked, decimal=decimal_mark, thousands=thousands_mark)
            for decimal_mark, thousands_mark in _SEPARATORS
        )


def _dates(texts: Mapping[str, int]) -> Iterator[Notation]:
    if any(resembles(LIKE_DATE, text) for text in texts):
        yield from (Notation(date=form) for form in DATES)


def _require_no_number(written: ColumnTexts) -> None:
    """Raise FileRefusedError for texts that look like numbers or dates in an unknown notation."""
    patterns = (LIKE_NUMBER, LIKE_DATE, LIKE_TIME)
    for pattern, (kind, example) in zip(patterns, _EXAMPLES.items(), strict=True):
        alike = [text for text in written.rows if resembles(pattern, text)]
        if 2 * written.count(iter(alike)) >= written.total:
            raise FileRefusedError(_refusal(written, alike, kind, example))
    _require_no_bounds(written)


def _require_no_bounds(written: ColumnTexts) -> None:
    """Raise FileRefusedError for numbers of which most are known in part, such as <5."""
    bounds = [text for text in written.rows if is_bound(text)]
    plain = [text for text in written.rows if is_plain(text)]
    share = written.count(iter([*bounds, *plain])) / max(1, written.total)
    if bounds and share >= _NEARLY_ALL and written.count(iter(plain)) > _FEW:
        raise FileRefusedError(_refusal(written, bounds, "numbers", _EXAMPLES["numbers"]))


def _require_one(written: ColumnTexts, best: Sequence[Notation]) -> None:
    """Raise FileRefusedError when two notations read the same texts as different numbers."""
    first, *others = (_read(written.rows, one) for one in best)
    for other, notation in zip(others, best[1:], strict=True):
        unlike = [text for text, value in first.items() if other.get(text, value) != value]
        if unlike:
            both = " or ".join(_declared(written.name, one) for one in (best[0], notation))
            raise FileRefusedError(
                f"column {showable_name(written.name)} holds texts such as "
                f"{written.shown(unlike[0])}, which can be read in more than one way: state "
                f"which under [data.notation] in the spec, as {both}"
            )


def _require_all(written: ColumnTexts, notation: Notation, read: Mapping[str, float]) -> None:
    """Raise FileRefusedError when many other texts are values in another notation."""
    unread = [text for text in written.rows if text not in read]
    is_other = is_other_date if notation.date else is_other_number
    stray = [text for text in unread if is_other(text)]
    if written.count(iter(stray)) > max(_FEW, _STRAY_SHARE * written.total):
        inside = next(iter(read))
        kind = "dates" if notation.date else "numbers"
        raise FileRefusedError(
            f"column {showable_name(written.name)} holds {kind} in more than one notation, such as "
            f"{written.shown(inside)} and {written.shown(stray[0])}: "
            "write them in one, or state one under [data.notation] in the spec, as "
            f"{_declared(written.name, notation)}; if they are categories, list the column in "
            "`categorical`"
        )


def _generous(notation: Notation, texts: Mapping[str, int]) -> Notation:
    """Return a notation with a decimal comma extended by points for thousands.

    The start of a file may hold small amounts only, and beside a decimal comma a point can mean
    nothing else. The notation stays as it is where the extended one would read a text otherwise.
    """
    if notation.decimal != "," or notation.thousands:
        return notation
    wider = replace(notation, thousands=".")
    return wider if _read(texts, wider) == _read(texts, notation) else notation


def _refusal(
    written: ColumnTexts, texts: Sequence[str], kind: str, example: Notation | None
) -> str:
    if example is None:
        what = f"which look like {kind}, and these are not read: write them as numbers, or as dates"
    else:
        what = (
            f"which look like {kind} in no notation that is known: write them in one that is, or "
            "state theirs under [data.notation] in the spec, if its parts can say it, such as "
            f"{_declared(written.name, example)}"
        )
    return (
        f"column {showable_name(written.name)} holds texts such as {written.shown(texts[0])}, "
        f"{what}; if they are categories, list the column in `categorical`, if neither, in "
        "`exclude`"
    )


def _declared(name: str, notation: Notation) -> str:
    """Return the line of a spec that states a notation."""
    return f'"{showable_name(name)}" = {{ {as_stated(notation)} }}'


def as_stated(notation: Notation) -> str:
    """Return the parts of a notation as a spec states them."""
    return ", ".join(
        f'{part} = "{value}"' if isinstance(value, str) else f"{part} = {str(value).lower()}"
        for part, value in (notation.told or {"decimal": "."}).items()
    )
