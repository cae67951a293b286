"""The ids of rows: how they are read, and which columns of a first file look like them.

A column that names rows tells nothing of later ones, so it is no feature: a tree would learn in
which order the rows were collected. Which column is the id only a person knows; a first file whose
spec names none is told which columns look like it.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import polars as pl

from include.formats.parsed_table import Chunk, ColumnContent
from include.spec.model_spec import Spec
from include.stages.ingest.notations import notation_of
from include.text.numbers import NO_VALUE, as_text
from include.text.showable import showable_name
from serving.values.spelling import SPELLING

ENOUGH_DIFFERENT = 1_000
"""Rows in which the values of a column are hardly all different by chance."""
_MOSTLY = 0.9
"""The share of different values in a column with the name of an id; whole rows may be repeated."""
_HARDLY_TEXTS = 0.5
"""With a larger share of whole numbers, words among them are odd values; hexadecimal ids have one
of digits alone in fifty at eight digits, one in seven at four."""
_WHOLE = r"^\s*[-+]?\d+\s*$"
_DAY_IN_DIGITS = r"^\s*(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\s*$"
_MAY_CHANGE = r"^$|^\s|\s$|[^\x21-\x7e ]|\.0+$|(?i:^true$|^false$)"
"""What is in an id that has another form; looking for it costs a tenth of reading each id."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_AT_THE_END = frozenset({"id", "uuid", "guid", "key", "rowid"})
_AT_THE_START = frozenset({"id", "uuid", "guid"})


def row_ids(values: pl.Series) -> pl.Series:
    """Return the ids of rows as they are compared: an integer in one form, null where none is."""
    is_plain = values.dtype == pl.String and not values.str.contains(_MAY_CHANGE).any()
    texts = values if is_plain else as_text(values, SPELLING)
    return texts.set(texts.is_in(NO_VALUE).fill_null(value=False), None)


def proposed_ids(
    start: Chunk, features: Sequence[str], kinds: Mapping[str, ColumnContent | None], spec: Spec
) -> tuple[str, ...]:
    """Return the columns among the features of a first file that look like the id of its rows.

    `kinds` are those of a typed file. What the spec names as a feature is one, and where no other
    column would be left, all are.
    """
    insisted = _insisted(spec)
    if spec.data.id is not None:
        return ()
    found = tuple(
        name
        for name in features
        if name not in insisted and _names_rows(name, start, kinds.get(name))
    )
    return found if len(found) < len(features) else ()


def id_remarks(names: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each column that was left out because it looks like an id."""
    for name in names:
        shown = showable_name(name)
        yield (
            f"column {shown} is left out: it looks like the id of the rows, not like a feature. "
            f'If it is the id, state id = "{shown}" under [data], so that a row that comes again '
            "is known by it; if it is a feature, name it in `features`"
        )


def looks_like_an_id(name: str) -> bool:
    """Say whether a column is called like an id: `id`, `customer_id`, `rowId`; not `humid`."""
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and (words[-1] in _AT_THE_END or words[0] in _AT_THE_START)


def _insisted(spec: Spec) -> set[str]:
    """Return the names, not patterns, by which a spec says that a column is a feature."""
    data = spec.data
    stated = [*data.features, *(data.categorical or ()), *data.notation, *data.ranges]
    return {*stated, *data.missing, *data.required, *(part.column for part in spec.slices)}


def _names_rows(name: str, start: Chunk, held: ColumnContent | None) -> bool:
    values = start.frame[name]
    if held not in {None, ColumnContent.INTEGER, ColumnContent.CATEGORY}:
        return False
    filled = values.drop_nulls()
    if filled.dtype == pl.String:
        filled = filled.filter(filled.str.strip_chars() != "")
    is_called_so = looks_like_an_id(name)
    if not _are_different(filled, is_called_so=is_called_so):
        return False
    if filled.dtype != pl.String:  # of a typed file
        return True
    is_text = held is ColumnContent.CATEGORY
    digits = 0.0 if is_text else int(filled.str.contains(_WHOLE).sum()) / len(filled)
    if digits == 1:
        return is_called_so or not bool(filled.str.contains(_DAY_IN_DIGITS).all())
    if digits > _HARDLY_TEXTS:  # numbers with a few words among them
        return False
    return notation_of(name, values, start.lines) is None


def _are_different(filled: pl.Series, *, is_called_so: bool) -> bool:
    """Say whether so many of the values are different that they may name the rows."""
    least = 2 if is_called_so else ENOUGH_DIFFERENT
    if len(filled) < least:
        return False
    share = _MOSTLY if is_called_so else 1
    # The first rows alone show it of nearly every column that is none.
    some = filled.head(ENOUGH_DIFFERENT)
    if some.n_unique() < share * len(some):
        return False
    return filled.n_unique() >= share * len(filled)
