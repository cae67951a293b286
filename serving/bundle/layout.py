"""How the rows of a model become the matrix that it is fitted on and asked with.

Training and serving both lay rows out by the same `Layout`, which travels in the bundle: a value
that the server is asked about stands where the same value stood when the model was fitted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

_AROUND = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""Spaces that training takes off a category, so that it is the same one wherever it is sent."""
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

    @cached_property
    def optional(self) -> frozenset[str]:
        """The features that may be missing, to look one up."""
        return frozenset(self.missing)

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
    return Layout(tuple(fields["features"]), known, tuple(fields["missing"]))


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
    """Return the values of one feature as they stand in the matrix, shape (rows,)."""
    places = layout.places.get(feature)
    if places is None:
        return np.array(values, dtype=np.float64)
    # None is no key and becomes NaN too; numpy writes the None that `get` returns as NaN.
    standing = [places.get(value) for value in values]  # type: ignore[arg-type]
    if None in standing:
        standing = [
            places.get(value.strip(_AROUND)) if place is None and isinstance(value, str) else place
            for place, value in zip(standing, values, strict=True)
        ]
    return np.array(standing, dtype=np.float64)


def stand_in(layout: Layout) -> tuple[Value, ...]:
    """Return a row that the model can be asked with where no real one is at hand."""
    return tuple(
        next(iter(layout.categories[feature]), "") if feature in layout.categories else 0.0
        for feature in layout.features
    )
