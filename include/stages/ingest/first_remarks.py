"""Sentences on what the sender of a first file may not expect of how it is read."""

import re
from collections.abc import Iterator, Mapping, Sequence

import polars as pl
from polars import selectors as cs

from include.formats.parsed_table import Chunk
from include.spec.contract import Column, ColumnKind, Contract
from include.spec.data_spec import Data, is_index
from include.stages.ingest.notations import as_stated
from include.text.numbers import as_number
from include.text.showable import showable_name
from serving.values.notation import PLAIN, Notation

_FEWEST_COUNTED = 20
"""Rows from which a column of 1, 2, 3 ... is taken for a row number."""
_LIKE_WHOLE = r"^\s*(?:[-+]?\d+(?:\.0*)?)?\s*$"
_LIKE_INDEX = re.compile(r"__index_level_\d+__|Unnamed: 0(\.\d+)*")
_LEADING_ZERO = r"^[-+]?0\d+$"
_NUMBER_AND_WORD = r"^[-+]?\d[\d.,]*\s*([^\W\d_][^\d\s]*)$"
_SIGN_AND_NUMBER = r"^([^\d\s]*[\p{S}#%&*\u2030\u2116]|\p{L}+\.)\s*[-+]?\d[\d.,]*$"
_IN_QUOTES = r"^(?:'.*'|`.*`|\u2018.*\u2019|\u201c.*\u201d|\u201e.*[\u201c\u201d]|\u00ab.*\u00bb)$"
_LIKE_THOUSANDS = r"^\s*(?:[-+]?[1-9]\d{0,2}(?:\.\d{3})?)?\s*$"
_DAY_IN_DIGITS = r"^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$"


def first_remarks(
    columns: Sequence[str],
    contract: Contract,
    data: Data,
    shown: Mapping[str, Chunk],
) -> Iterator[str]:
    """Yield a sentence for each decision on columns that their sender may not expect.

    `shown` has, for each feature, the first rows in which it has a value.
    """
    yield from _decisions(columns, contract, data)
    yield from _doubtful_numbers(contract, shown, data)
    yield from _partly_percent(contract, shown, data)


def _decisions(columns: Sequence[str], contract: Contract, data: Data) -> Iterator[str]:
    """Yield a sentence for columns that were left out, and for each notation that was found."""
    yield from _left_out(columns, data)
    for column in contract.columns:
        if column.notation != PLAIN and data.notation_of(column.name) is None:
            yield f"column {showable_name(column.name)} is read as {_described(column.notation)}"


def _left_out(columns: Sequence[str], data: Data) -> Iterator[str]:
    """Yield a sentence for the index that a program wrote, and one for columns without a name."""
    unnamed = [name for name in columns if is_index(name) and not data.selects(name)]
    index = [name for name in unnamed if name == columns[0] or _LIKE_INDEX.fullmatch(name)]
    if index:
        names = ", ".join(showable_name(name) or "one without a name" for name in index)
        yield f"left out as an index that a program wrote, not a feature: {names}"
    places = [str(place) for place, name in enumerate(columns, 1) if name in {*unnamed} - {*index}]
    if places:
        yield (
            f"left out, as the header has no name for it: column {', '.join(places)} of the file; "
            "if it is a feature, name it"
        )


def _doubtful_numbers(contract: Contract, shown: Mapping[str, Chunk], data: Data) -> Iterator[str]:
    """Yield a sentence for each column whose plain numbers may mean something else."""
    columns = [column for column in unstated(contract, data) if column.name in shown]
    suspects = _suspects(
        [column.name for column in columns if column.kind is ColumnKind.NUMBER], shown
    )
    for column in columns:
        values = shown[column.name].frame[column.name]
        if column.kind is not ColumnKind.NUMBER and values.dtype == pl.String:
            texts = values.drop_nulls().str.strip_chars()
            yield from _typed_as_text(showable_name(column.name), texts)
            yield from _with_unit(showable_name(column.name), texts)
            yield from _in_quotes(showable_name(column.name), texts)
        elif column.name in suspects:
            yield from _said_of(showable_name(column.name), values.drop_nulls())


def unstated(contract: Contract, data: Data) -> Iterator[Column]:
    """Yield the columns that are plain numbers or categories, and not because the spec says so."""
    for column in contract.columns:
        is_stated = data.is_category(column.name) or data.notation_of(column.name)
        if column.notation == PLAIN and not is_stated:
            yield column


def _suspects(names: Sequence[str], shown: Mapping[str, Chunk]) -> set[str]:
    """Return the columns of numbers that are worth a look each.

    A look at every value of a wide file costs as much as reading it. Only whole numbers count rows,
    name things or are days, and only points before three digits may separate thousands, so the
    first few values decide which columns are looked at at all.
    """
    return {
        name
        for chunk in {id(shown[name]): shown[name] for name in names}.values()
        for name in _odd_at_first(chunk.frame.select(n for n in names if shown[n] is chunk))
    }


def _odd_at_first(frame: pl.DataFrame) -> list[str]:
    """Return the columns whose first values are whole numbers, or may be thousands with a point.

    Missing values are passed over.
    """
    few = frame.head(_FEWEST_COUNTED)
    texts = cs.string().str
    is_odd = few.select(
        texts.contains(_LIKE_WHOLE).all() | texts.contains(_LIKE_THOUSANDS).all(),
        (~cs.string()).mod(1).eq(0).all(),
    )
    return [name for name in frame.columns if is_odd[name].item()]


def _said_of(name: str, values: pl.Series) -> Iterator[str]:
    yield from _counting(name, values)
    if values.dtype == pl.String:
        yield from _odd_numbers(name, values.str.strip_chars())


def _counting(name: str, values: pl.Series) -> Iterator[str]:
    """Yield a sentence for a column that is the number of its row."""
    numbers = as_number(values)
    if len(numbers) < _FEWEST_COUNTED or numbers.null_count() or numbers[0] not in {0, 1}:
        return
    if bool((numbers.diff().drop_nulls() == 1).all()):
        yield (
            f"column {name} counts the rows ({numbers[0]:g}, {numbers[1]:g}, {numbers[2]:g} and "
            "so on), which tells nothing of later ones: list it in `exclude` or name it as `id`"
        )


def _odd_numbers(name: str, texts: pl.Series) -> Iterator[str]:
    """Yield a sentence for zeros before a number, points for thousands, or days in digits."""
    if sentence := leading_zero(name, texts) or thousands_point(name, texts):
        yield sentence
    elif len(texts) and texts.str.contains(_DAY_IN_DIGITS).all():
        yield (
            f"column {name}: {texts[0]} is read as a number, though it looks like a date; if "
            f'it is one, state "{name}" = {{ date = "%Y%m%d" }} under [data.notation]'
        )


def leading_zero(name: str, texts: pl.Series) -> str:
    """Return a sentence about the first number with a zero before it, or ""."""
    zeros = texts.filter(texts.str.contains(_LEADING_ZERO))
    if not len(zeros):
        return ""
    return (
        f"column {name}: {zeros[0]} is read as the number {float(zeros[0]):g}; if it is a "
        "name of something, list the column in `categorical` or in `exclude`"
    )


def thousands_point(name: str, texts: pl.Series) -> str:
    """Return a sentence where each point may separate thousands, as in 1.000 beside 999, or ""."""
    points = texts.filter(texts.str.contains(".", literal=True))
    if not (len(points) and texts.str.contains(_LIKE_THOUSANDS).all()):
        return ""
    return (
        f"column {name}: {points[0]} is read as the number {float(points[0]):g}; if its point "
        f'separates thousands, state "{name}" = {{ decimal = ",", thousands = "." }} under '
        "[data.notation]"
    )


def _typed_as_text(name: str, texts: pl.Series) -> Iterator[str]:
    """Yield a sentence for categories that are numbers, stored as texts in a typed file."""
    if len(texts) and not as_number(texts).null_count():
        yield (
            f"column {name} holds numbers such as {showable_name(texts[0])}, but the file has them "
            "as texts: they are categories; if they are numbers, state "
            f'"{name}" = {{ decimal = "." }} under [data.notation]'
        )


def _with_unit(name: str, texts: pl.Series) -> Iterator[str]:
    """Yield a sentence for categories that are all numbers with the same word or sign beside."""
    distinct = texts.unique(maintain_order=True)
    for pattern, side in ((_NUMBER_AND_WORD, "behind"), (_SIGN_AND_NUMBER, "before")):
        units = distinct.str.extract(pattern)
        if len(distinct) > 1 and not units.null_count() and _only_one(units):
            yield (
                f"column {name}: texts such as {showable_name(distinct[0])} are categories, though "
                f"each is a number with {showable_name(units[0])} {side} it: if numbers are meant, "
                "write them without it; if not, list the column in `categorical`"
            )


def _only_one(texts: pl.Series) -> bool:
    return texts.str.to_lowercase().n_unique() == 1


def _in_quotes(name: str, texts: pl.Series) -> Iterator[str]:
    """Yield a sentence for categories that all stand in quotes that are none to a text file."""
    if len(texts) and texts.str.contains(_IN_QUOTES).all():
        yield (
            f"column {name}: the quotes around texts such as {showable_name(texts[0])} are part of "
            "them, and of what a caller has to send; if they are not meant, write the file without "
            'them, or with "'
        )


def _partly_percent(contract: Contract, shown: Mapping[str, Chunk], data: Data) -> Iterator[str]:
    """Yield a sentence for each column in which some numbers have a sign of per cent, some none."""
    for column in contract.columns:
        is_found = column.notation.percent and data.notation_of(column.name) is None
        if not is_found or column.name not in shown:
            continue
        values = shown[column.name].frame[column.name]
        texts = values.drop_nulls() if values.dtype == pl.String else values.clear().cast(pl.String)
        bare = texts.filter(~texts.str.contains("%", literal=True) & texts.str.contains("[1-9]"))
        if len(bare) and len(bare) < len(texts):
            text = showable_name(bare[0].strip())
            yield (
                f"column {showable_name(column.name)}: {text}, which has no sign of per cent, is "
                f"read as {text} %, as its neighbours that have one; if it is a share of 1, write "
                "all values alike"
            )


def _described(notation: Notation) -> str:
    if notation.boolean:
        return "true and false, 1 and 0"
    if notation.date:
        return f"dates such as {notation.date}, in days since 1970-01-01"
    return f"numbers with {as_stated(notation)}"
