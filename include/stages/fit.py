"""Fits the selected pipeline on the whole train side, with its threshold built in.

A train side that is larger than memory is read block by block. A classifier whose learner can do
so is fitted on all rows. The steps before it are fitted on a sample of the rows and applied to each
block: categories, medians and scales do not need every row. The result has the same classes as a
model that was fitted in memory, so code that opens it treats both alike.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import Pipeline

from include.learners import learner_of
from include.records.arrays import Block, Blocks, Labels, Matrix


def fit(
    pipeline: BaseEstimator, threshold: float, X: Matrix, y: Labels
) -> FixedThresholdClassifier:
    """Fit a pipeline on X, float32 of shape (rows, features), and y, 1 for positive.

    The result is a plain scikit-learn classifier: its `predict` calls a row positive when the
    probability is at least the threshold.
    """
    return _with_threshold(pipeline.fit(X, y), threshold, X, y)


def block_learner(model: BaseEstimator) -> str:
    """Return who can fit a model block by block: the learner of a pipeline's last step, or ""."""
    last = learner_of(model).last_step(model)
    learner = learner_of(last)
    return learner.name if learner.reads_blocks(last) else ""


def fit_blocks(
    pipeline: Pipeline, threshold: float, blocks: Blocks, some: Block, cache: Path
) -> FixedThresholdClassifier:
    """Fit a pipeline that has a `block_learner` on every row of the blocks.

    `some` are the rows, of both classes, that the steps before the last are fitted on. `cache` is
    an empty folder for what the last step's learner keeps while it fits.
    """
    before, last = pipeline[:-1], pipeline[-1]
    if before.steps:
        before.fit(*some)

    def transformed() -> Iterator[tuple[Any, Labels]]:
        for X, y in blocks():
            yield (before.transform(X) if before.steps else X), y

    learner_of(last).fit_blocks(last, transformed, cache)
    return _with_threshold(pipeline, threshold, *some)


def stratified_sample(blocks: Blocks, rows: int, of: int) -> Block:
    """Return about `rows` rows of all, evenly spaced within each class; the first of each is in it.

    `of` is how many rows the blocks have together. The row with number i of its class, counted from
    0, is taken when i * rows mod of < rows: of 9 negatives and 3 positives with rows = 4 and of =
    12 these are negatives 0, 3 and 6 and positive 0.
    """
    seen = [0, 0]
    parts = []
    for X, y in blocks():
        number = np.empty(len(y), np.int64)
        for label in (0, 1):
            of_class = y == label
            count = int(of_class.sum())
            number[of_class] = np.arange(seen[label], seen[label] + count)
            seen[label] += count
        taken = number * rows % of < rows
        parts.append((X[taken], y[taken]))
    features, labels = zip(*parts, strict=True)
    return np.concatenate(features), np.concatenate(labels)


def _with_threshold(
    fitted: BaseEstimator, threshold: float, X: Matrix, y: Labels
) -> FixedThresholdClassifier:
    model = FixedThresholdClassifier(
        FrozenEstimator(fitted), threshold=threshold, pos_label=1, response_method="predict_proba"
    )
    # The pipeline is frozen, so this fit only tells the wrapper which classes there are: one row of
    # each is enough.
    return model.fit(X[np.unique(y, return_index=True)[1]], np.unique(y))
