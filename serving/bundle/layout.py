"""How the rows of a model become the matrix that it is fitted on and asked with.

Training and serving both lay rows out by the same `Layout`, which travels in the bundle: a value
that the server is asked about stands where the same value stood when the model was fitted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.values.notation import Notation, example, number_reader, read_notation
from serving.values.spelling import category_form, name_of, truth_words

Value = float | str | None
"""What a row holds: a number, a category, or None where it is missing."""


@dataclass(frozen=True)
class Layout:
    """The columns of a model's matrix, and what may stand in them."""

    features: tuple[str, ...]
    """Feature names in column order."""
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each feature that holds categories, those that the model knows. A category stands in the
    matrix as its place here; one that is not here stands as NaN, as a missing value does."""
    missing: tuple[str, ...] = ()
    """The features that may be missing."""
    notations: dict[str, Notation] = field(default_factory=dict)
    """Of the features whose texts are numbers, how they are written."""
    spelling: int = 1
    """How categories are spelled, see `serving.values.spelling`: 1 in bundles of 0.1.0."""
    id: str | None = field(default=None, compare=False)
    """The column that names a row, which a request may have beside the features. It does not stand
    in the matrix, so layouts that differ in it alone are equal."""

    @cached_property
    def optional(self) -> frozenset[str]:
        """The features that may be missing, to look one up."""
        return frozenset(self.missing)

    def feature_of(self, text: str) -> str:
        """Return the feature that somebody calls so; the text as it is where it is none.

        Names are compared as training compares those of columns, see `name_of`.
        """
        return self.own_names.get(text) or self.own_names.get(name_of(text), text)

    def column_of(self, text: str) -> str:
        """Return the feature that somebody calls so, or the column of the id."""
        return (
            self.id if self.id is not None and name_of(text) == self.id else self.feature_of(text)
        )

    @cached_property
    def own_names(self) -> dict[str, str]:
        """The features by their own names, and by those that `name_of` makes of them."""
        by_form = {name_of(feature): feature for feature in reversed(self.features)}
        return by_form | {feature: feature for feature in self.features}

    @cached_property
    def places(self) -> dict[str, dict[str, int]]:
        """The categories of each feature that holds them, each with its place."""
        return {
            feature: {category: place for place, category in enumerate(known)}
            for feature, known in self.categories.items()
        }


def read_layout(fields: Mapping[str, Any]) -> Layout:
    """Return a layout from its JSON; KeyError or TypeError when it is none."""
    known = {feature: tuple(names) for feature, names in dict(fields["categories"]).items()}
    notations = {
        feature: read_notation(told) for feature, told in fields.get("notations", {}).items()
    }
    spelling = int(fields.get("spelling", 1))
    missing = tuple(fields["missing"])
    return Layout(tuple(fields["features"]), known, missing, notations, spelling, fields.get("id"))


def encode(layout: Layout, rows: Sequence[Sequence[Value]]) -> NDArray[np.float32]:
    """Return rows of values in feature order as a matrix of shape (rows, features), C order.

    Raises ValueError for a row of another width.
    """
    width = len(layout.features)
    wrong = [len(row) for row in rows if len(row) != width]
    if wrong:
        raise ValueError(f"a row has {wrong[0]} values for {width} features")
    columns = zip(*rows, strict=True) if rows else ((),) * width
    laid_out = [
        encode_column(layout, feature, values)
        for feature, values in zip(layout.features, columns, strict=True)
    ]
    return np.ascontiguousarray(np.column_stack(laid_out), dtype=np.float32)


def encode_column(layout: Layout, feature: str, values: Sequence[Value]) -> NDArray[np.float64]:
    """Return the values of one feature as they stand in the matrix, shape (rows,).

    A text that is a number in the feature's notation is that number. Raises ValueError for another.
    """
    places = layout.places.get(feature)
    if places is None:
        if feature in layout.notations:
            values = read_texts(layout, feature, values)
        return np.array(values, dtype=np.float64)
    # None is no key and becomes NaN too; numpy writes the None that `get` returns as NaN.
    standing = [places.get(value) for value in values]  # type: ignore[arg-type]
    # A truth or a number is no category as it stands; 1 would be that of a truth.
    if None in standing:
        spell = _speller(layout, feature)
        standing = [
            places.get(spell(value)) if place is None and value is not None else place
            for place, value in zip(standing, values, strict=True)
        ]
    return np.array(standing, dtype=np.float64)


def read_texts(layout: Layout, feature: str, values: Sequence[Value]) -> list[float | None]:
    """Return the numbers of a feature, those that are texts read in its notation.

    Raises ValueError with a sentence for a text that is no number there.
    """
    read = number_reader(layout.notations[feature])
    numbers: list[float | None] = []
    for value in values:
        number = read(value) if isinstance(value, str) else value
        if number is None and value is not None:
            form = example(layout.notations[feature])
            raise ValueError(
                f"'{str(value)[:40]}' is not written as the feature's values are, such as {form}"
            )
        numbers.append(number)
    return numbers


def _speller(layout: Layout, feature: str) -> Callable[[str | float], str]:
    words = truth_words(layout.categories[feature]) or {}
    own = {"true": words.get(True, "true"), "false": words.get(False, "false")}

    def spell(value: str | float) -> str:
        form = category_form(value, layout.spelling)
        return own.get(form, form)

    return spell


def stand_in(layout: Layout) -> tuple[Value, ...]:
    """Return a row that the model can be asked with where no real one is at hand."""
    return tuple(
        next(iter(layout.categories[feature]), "") if feature in layout.categories else 0.0
        for feature in layout.features
    )
