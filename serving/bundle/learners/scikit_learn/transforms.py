"""Applies fitted transformers by plain NumPy arithmetic; `arithmetic` says why."""

from functools import singledispatch
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from serving.bundle import learners
from serving.bundle.learners.scores import Numbers, Transform


@singledispatch
def arithmetic_transform(_step: Any) -> Transform | None:
    """Return a function that transforms rows as a fitted step does; None where there is none."""
    return None


@arithmetic_transform.register
def _(step: StandardScaler) -> Transform:
    # Both in the rows' own dtype before they are used, as scikit-learn has them: another rounding
    # is another bin or leaf for a row that lies just at its edge, as fitted rows do.
    parts = [step.mean_ if step.with_mean else None, step.scale_ if step.with_std else None]
    narrow = [None if part is None else part.astype(np.float32) for part in parts]

    def scaled(X: Numbers) -> Numbers:
        mean, scale = narrow if X.dtype == np.float32 else parts
        Z = X.copy()
        if mean is not None:
            Z -= mean
        if scale is not None:
            Z /= scale
        return Z

    return scaled


@arithmetic_transform.register
def _(step: FunctionTransformer) -> Transform:
    ask: Transform = step.transform
    return ask if step.func is not None else lambda X: X


@arithmetic_transform.register
def _(step: SimpleImputer) -> Transform:
    ask: Transform = step.transform
    simple = isinstance(step.missing_values, float) and np.isnan(step.missing_values)
    if not simple or step.add_indicator or np.isnan(step.statistics_).any():
        return ask
    known = step.statistics_

    def imputed(X: Numbers) -> Numbers:
        Z = X.copy()
        np.copyto(Z, known, where=np.isnan(Z), casting="same_kind")
        return Z

    return imputed


@arithmetic_transform.register
def _(step: OneHotEncoder) -> Transform:
    if step.sparse_output or not all(map(_are_places, step.categories_)):
        return _asked(step)
    tables = [_table(step, column) for column in range(len(step.categories_))]

    def encoded(X: Numbers) -> Numbers:
        blocks = []
        for column, table in enumerate(tables):
            # The last line is for what is missing, the one before it for what is unknown.
            place = np.minimum(np.nan_to_num(X[:, column], nan=len(table)), len(table) - 2)
            place[np.isnan(X[:, column])] = len(table) - 1
            blocks.append(table[place.astype(np.intp)])
        return np.hstack(blocks)

    return encoded


@arithmetic_transform.register
def _(step: ColumnTransformer) -> Transform:
    parts = [
        (np.arange(step.n_features_in_)[columns], learners.transform_of(part))
        for _, part, columns in step.transformers_
        if not isinstance(part, str) and len(columns)
    ]
    if any(part == "passthrough" for _, part, _ in step.transformers_):
        return _asked(step)
    return lambda X: np.hstack([transform(X[:, columns]) for columns, transform in parts])


def _asked(step: Any) -> Transform:
    ask: Transform = step.transform
    return ask


def _are_places(categories: Numbers) -> bool:
    """Say whether these are places of categories in a layout: whole numbers from 0, or missing."""
    if categories.dtype.kind != "f":
        return False
    present = categories[~np.isnan(categories)]
    return bool(np.all((present >= 0) & (present == np.floor(present)) & (present < 2**16)))


def _table(encoder: OneHotEncoder, column: int) -> Numbers:
    """Return what the encoder makes of each place in a column, of an unknown one, of a gap."""
    categories = encoder.categories_[column]
    most = int(np.nanmax(categories, initial=-1))
    asked = np.array([*range(most + 2), np.nan], dtype=np.float32)
    rows = np.zeros((len(asked), len(encoder.categories_)), dtype=np.float32)
    rows[:, column] = asked
    widths = [len(names) for names in _columns(encoder)]
    start = sum(widths[:column])
    block: Numbers = np.asarray(encoder.transform(rows))[:, start : start + widths[column]]
    return block


def _columns(encoder: OneHotEncoder) -> list[list[str]]:
    """Return the names of the output's columns by the input's."""
    names = [f"{place}" for place in range(len(encoder.categories_))]
    found: list[list[str]] = [[] for _ in names]
    for name in encoder.get_feature_names_out(names):
        found[int(name.partition("_")[0])].append(name)
    return found
