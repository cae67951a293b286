"""Converts texts to numbers and to categories: the same value from every file format.

Each distinct text is read once, by the readers that the server uses too.
"""

from collections.abc import Callable
from typing import Any

import polars as pl

from serving.values.notation import PLAIN, Notation, number_reader
from serving.values.spelling import category_form, truth_words

NO_VALUE = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "NaT", "<NA>")
"""Texts that programs write for no value, and nobody for a label."""
MISSING = (
    *NO_VALUE,
    *("na", "n/a", "#NA", "#N/A", "#N/A N/A", "Null", "none", "nil", r"\N"),
    *("n.a.", "N.A."),
    *("?", "-", "--", "\u2013", "\u2014", "."),
)
"""Texts that stand for a missing number, as programs and people write them.

A missing category is only ever empty: among texts such a mark may mean something.
"""
MARKS = MISSING[len(NO_VALUE) :]
"""Those that a person may have meant for something else, such as a dash for zero."""


def as_number(values: pl.Series, notation: Notation = PLAIN) -> pl.Series:
    """Return the numbers that texts spell, null for no number; Float64 is returned unchanged."""
    if values.dtype == pl.Float64:
        return values
    if notation == PLAIN:
        numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
        if numbers.null_count() == values.null_count():
            return numbers
        return numbers.zip_with(numbers.is_not_null(), _read_each(values, numbers))
    return _each(values, number_reader(notation), pl.Float64)


def _read_each(texts: pl.Series, numbers: pl.Series) -> pl.Series:
    """Return the numbers of texts that polars does not read, such as one with a typeset minus."""
    is_left = numbers.is_null() & ~texts.is_in(MISSING).fill_null(value=False)
    return _each(texts.set(~is_left, None), number_reader(PLAIN), pl.Float64)


def with_truths(numbers: pl.Series, texts: pl.Series) -> pl.Series:
    """Return numbers in which the texts true and false count as 1 and 0."""
    words = texts.str.strip_chars().str.to_lowercase()
    truths = words.replace_strict(["true", "false"], [1.0, 0.0], default=None)
    return (
        numbers.to_frame("n").select(pl.col("n").fill_null(truths)).to_series().alias(numbers.name)
    )


def as_text(values: pl.Series, spelling: int, known: tuple[str, ...] = ()) -> pl.Series:
    """Return texts in their canonical spelling (see `category_form`); empty ones are null.

    Truths are spelled as in the `known` categories, where these are a pair such as yes and no.
    """
    words = truth_words(known) or {}
    own = {"true": words.get(True, "true"), "false": words.get(False, "false")}

    def one_form(text: str) -> str | None:
        form = category_form(text, spelling)
        return own.get(form, form) or None

    return _each(values, one_form, pl.String)


def _each(values: pl.Series, read: Callable[[str], Any], dtype: Any) -> pl.Series:
    """Return what is read in each text, null where that is nothing."""
    distinct = values.drop_nulls().unique()
    results = pl.Series([read(text) for text in distinct.to_list()], dtype=dtype)
    if dtype == pl.String and distinct.equals(results, null_equal=False):
        return values
    return values.replace_strict(distinct, results, default=None, return_dtype=dtype)
