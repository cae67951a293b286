"""The winner, fitted on the whole train side, with its threshold built in.

A train side that is larger than memory comes block by block. XGBoost fits it on all rows from a
cache on disk; what the pipeline has before XGBoost is fitted on a part and applied to each block,
for none of it needs every row to learn categories, medians or scales. The model is of the same
classes as one fitted in memory, so nobody who opens it has to know.
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
    """Fit a pipeline on X, shape (rows, features), and y, 1 for positive.

    The result is a plain scikit-learn classifier: `predict` calls a row positive when its
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

    `some` are the rows, of both classes, that the steps before XGBoost are fitted on.
    XGBoost reads the blocks a few times, keeps up to two thirds of their bytes in the folder
    `cache` and reads that once a level of each tree; beside it, it holds some 2 MiB a column.
    Its cuts are those of a fit in memory where features have few values, else within the error of
    the same sketch.
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


def part(blocks: Blocks, rows: int, of: int) -> Block:
    """Return about so many of all rows: of each class the first and then evenly spaced ones.

    `of` is how many rows the blocks have together.
    """
    seen = [0, 0]
    kept = []
    for X, y in blocks():
        number = np.empty(len(y), np.int64)
        for label in (0, 1):
            mine = y == label
            count = int(mine.sum())
            number[mine] = np.arange(seen[label], seen[label] + count)
            seen[label] += count
        taken = number * rows % of < rows
        kept.append((X[taken], y[taken]))
    features, labels = zip(*kept, strict=True)
    return np.concatenate(features), np.concatenate(labels)


def _with_threshold(
    fitted: BaseEstimator, threshold: float, X: Matrix, y: Labels
) -> FixedThresholdClassifier:
    model = FixedThresholdClassifier(
        FrozenEstimator(fitted), threshold=threshold, pos_label=1, response_method="predict_proba"
    )
    # The pipeline is frozen: this only tells the wrapper which classes there are.
    return model.fit(X[np.unique(y, return_index=True)[1]], np.unique(y))


class _Laid(DataIter):  # type: ignore[misc] # XGBoost comes without types
    """Blocks as XGBoost asks for them: again from the first one on, several times."""

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
        laid: Any = self._before.transform(X) if self._before.steps else X
        booster = self._booster
        input_data(
            data=laid,
            label=y,
            feature_types=booster.feature_types,
            feature_weights=booster.feature_weights,
        )
        return True
