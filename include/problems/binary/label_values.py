"""Reads the target column: the positive label, a negative one, or neither."""

from collections.abc import Callable

import polars as pl

from include.problems.label_rule import ANYTHING_ELSE, Label, LabelRule
from include.text.nearest import plainest
from include.text.numbers import NO_VALUE, as_number
from serving.values.spelling import TRUTH_WORDS, canonical, category_form, truth

_NO_LABEL = frozenset({*NO_VALUE, "na", "n/a", "#NA", "#N/A", "#N/A N/A", "Null", r"\N", "?"})
_CLOSING = ".,;:!"
"""Marks that a program or a person may have set behind a label."""


def labels(values: pl.Series, rule: LabelRule) -> pl.Series:
    """Return 1 and 0 as Int8, shape (rows,), null for neither label; `values` are texts.

    A truth matches in any case, also as yes and no; a number with or without a fraction of zero; a
    text in its canonical spelling.
    """
    positive = _is_label(values, rule.positive)
    negative = pl.Series([False]).new_from_index(0, len(values))
    for label in rule.negatives:
        negative |= (
            _is_other_label(values, rule.positive)
            if label == ANYTHING_ELSE
            else _is_label(values, label)
        )
    label_number = pl.when(positive).then(1).when(negative).then(0).otherwise(None)
    return pl.select(label_number.cast(pl.Int8)).to_series()


def _is_label(values: pl.Series, label: Label) -> pl.Series:
    if isinstance(label, bool):
        return _matching(values, lambda text: text not in {"1", "0"} and truth(text) is label)
    if isinstance(label, int):
        said = _matching(values, lambda text: text in TRUTH_WORDS and truth(text) == label)
        return (as_number(values) == label).fill_null(value=False) | said
    own = canonical(label)
    return _matching(values, lambda text: text == own)


def _is_other_label(values: pl.Series, positive: Label) -> pl.Series:
    """Mark what is present and is not the positive label, nor perhaps another spelling of it."""
    return _matching(
        values, lambda text: text not in _NO_LABEL and not _may_mean(text, category_form(positive))
    )


def _may_mean(text: str, label: str) -> bool:
    """Say whether a text may be a label in another spelling, such as yes for Yes or 1."""
    bare, own = (plainest(one).rstrip(_CLOSING) or one for one in (text, label))
    if bare == own or truth(own) is None:
        return bare == own
    return truth(bare) is truth(own) and not (len(bare) == len(own) == 1 and bare.isalpha())


def _matching(values: pl.Series, is_one: Callable[[str], bool]) -> pl.Series:
    distinct = values.drop_nulls().unique()
    chosen = [text for text in distinct.to_list() if is_one(canonical(text))]
    return values.is_in(pl.Series(chosen, dtype=pl.String).implode()).fill_null(value=False)
