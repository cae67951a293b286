"""Fits the selected pipeline on the whole train side, with its threshold built in.

A train side that is larger than memory is read block by block. XGBoost fits it on all rows from a
cache on disk. The steps before XGBoost are fitted on a sample of the rows and applied to each
block: categories, medians and scales do not need every row. The result has the same classes as a
model that was fitted in memory, so code that opens it treats both alike.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import Pipeline
from xgboost import DataIter, ExtMemQuantileDMatrix, XGBClassifier, train

from include.records.arrays import Block, Blocks, Labels, Matrix


def fit(
    pipeline: BaseEstimator, threshold: float, X: Matrix, y: Labels
) -> FixedThresholdClassifier:
    """Fit a pipeline on X, float32 of shape (rows, features), and y, 1 for positive.

    The result is a plain scikit-learn classifier: its `predict` calls a row positive when the
    probability is at least the threshold.
    """
    return _with_threshold(pipeline.fit(X, y), threshold, X, y)


def reads_blocks(model: BaseEstimator) -> bool:
    """Say whether a model can be fitted block by block: it ends in XGBoost's histogram trees."""
    if not isinstance(model, Pipeline):
        return False
    last = model[-1]
    return (
        isinstance(last, XGBClassifier)
        and last.tree_method in {None, "auto", "hist"}
        and last.booster in {None, "gbtree"}
    )


def fit_blocks(
    pipeline: Pipeline, threshold: float, blocks: Blocks, some: Block, cache: Path
) -> FixedThresholdClassifier:
    """Fit a pipeline that `reads_blocks` on every row of the blocks.

    `some` are the rows, of both classes, that the steps before XGBoost are fitted on. XGBoost reads
    the blocks a few times, keeps up to two thirds of their bytes in the folder `cache`, and reads
    the cache once for each level of each tree; besides, it holds about 2 MiB a column in memory.
    Its histogram cuts equal those of a fit in memory where features have few values, else they are
    within the error of the same quantile sketch.
    """
    before, booster = pipeline[:-1], pipeline[-1]
    if before.steps:
        before.fit(*some)
    matrix = ExtMemQuantileDMatrix(
        _Laid(blocks, before, booster, cache),
        missing=booster.missing,
        nthread=booster.n_jobs,
        max_bin=booster.max_bin,
        enable_categorical=booster.enable_categorical,
    )
    fitted = train(
        booster.get_xgb_params(),
        matrix,
        booster.get_num_boosting_rounds(),
        early_stopping_rounds=booster.early_stopping_rounds,
    )
    booster.load_model(fitted.save_raw("ubj"))
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


class _Laid(DataIter):  # type: ignore[misc] # XGBoost comes without types
    """Hands the blocks to XGBoost, which reads them several times, each time from the first one."""

    def __init__(
        self, blocks: Blocks, before: Pipeline, booster: XGBClassifier, cache: Path
    ) -> None:
        self._blocks, self._before, self._booster = blocks, before, booster
        self._coming = blocks()
        super().__init__(cache_prefix=str(cache / "bins"))

    def reset(self) -> None:
        self._coming = self._blocks()

    def next(self, input_data: Callable[..., None]) -> bool:
        block = next(self._coming, None)
        if block is None:
            return False
        X, y = block
        features: Any = self._before.transform(X) if self._before.steps else X
        booster = self._booster
        input_data(
            data=features,
            label=y,
            feature_types=booster.feature_types,
            feature_weights=booster.feature_weights,
        )
        return True
