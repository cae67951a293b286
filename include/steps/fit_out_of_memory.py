"""Fits a model on a train side that is larger than the memory a fit may use.

The limit is the setting `fit_memory` (MiB), not the free memory of the moment, so that the same
data are always fitted in the same way. Above it a family whose learner reads blocks is still fitted
on every row, from a cache on disk. Every other family needs its rows in memory and is fitted on a
stratified sample of the largest size allowed.

When killed: the cache on disk stays behind, and the next fit of the spec removes it first.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sklearn.base import BaseEstimator
from sklearn.model_selection import FixedThresholdClassifier

from include.context.intake_context import IntakeContext
from include.learners import block_learners
from include.records.arrays import Block, Blocks
from include.records.data import Dataset
from include.records.row_columns import Side
from include.stages import fit as fit_stage
from include.store.units import MIB
from serving.bundle import Layout

log = logging.getLogger("ratchet")
_BLOCKS = 32
"""A block is 1/32 of the memory limit, because about ten copies of it exist at the same time: as it
is read, as a matrix, and as the binned pages that a learner holds."""


def rows_held(context: IntakeContext, layout: Layout) -> int:
    """Return how many rows fit into `fit_memory` as one float32 matrix, at least 1.

    rows = fit_memory * MIB / (4 * features): 1024 MiB and 10 features give 26,843,545 rows.
    """
    return max(1, context.settings.fit_memory * MIB // (4 * len(layout.features)))


def outgrows(context: IntakeContext, dataset: Dataset, layout: Layout) -> bool:
    """Return whether the train side has more rows than `rows_held`."""
    return dataset.train_rows > rows_held(context, layout)


def sample_that_fits(context: IntakeContext, dataset: Dataset, layout: Layout) -> Block:
    """Return a stratified sample of the train side with `rows_held` rows: features and labels."""
    return _part(context, dataset, layout, rows_held(context, layout))


def fit(
    context: IntakeContext,
    dataset: Dataset,
    layout: Layout,
    pipeline: BaseEstimator,
    threshold: float,
) -> tuple[FixedThresholdClassifier, int]:
    """Fit a pipeline on a train side above the limit; return the model and its number of rows.

    A pipeline that can be fitted block by block is fitted on every row, any other on the sample
    that `sample_that_fits` returns. `threshold` is the probability from which the model calls a row
    positive.
    """
    sentence = (
        f"of {dataset.train_rows} train rows RATCHET_FIT_MEMORY ({context.settings.fit_memory} "
        f"MiB) holds {rows_held(context, layout)}"
    )
    learner = fit_stage.block_learner(pipeline)
    if not learner:
        others = " or ".join(block_learners())
        log.warning("%s: the winner is fitted on a part; %s would take all", sentence, others)
        X, y = sample_that_fits(context, dataset, layout)
        return fit_stage.fit(pipeline, threshold, X, y), len(y)
    log.info("%s: %s is fitted on all of them from a cache on disk", sentence, learner)
    sample = _part(context, dataset, layout, _block_rows(context, layout))
    with _cache(context) as folder:
        blocks = _blocks(context, dataset, layout)
        model = fit_stage.fit_blocks(pipeline, threshold, blocks, sample, folder)
    return model, dataset.train_rows


def _part(context: IntakeContext, dataset: Dataset, layout: Layout, rows: int) -> Block:
    return fit_stage.stratified_sample(_blocks(context, dataset, layout), rows, dataset.train_rows)


def _blocks(context: IntakeContext, dataset: Dataset, layout: Layout) -> Blocks:
    rows = _block_rows(context, layout)
    return partial(context.lake.blocks, dataset.version, Side.TRAIN, layout, rows)


def _block_rows(context: IntakeContext, layout: Layout) -> int:
    return max(1, rows_held(context, layout) // _BLOCKS)


@contextmanager
def _cache(context: IntakeContext) -> Iterator[Path]:
    """Provide an empty folder for a cache; files of a fit that was killed are removed first."""
    folder = context.settings.scratch / "fit" / context.spec.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
