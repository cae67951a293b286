"""A train side that is larger than a fit may hold in memory.

What may be held is the setting `fit_memory`, so that the same data on the same host are always
fitted the same way. Beyond it XGBoost is still fitted on every row, from a cache on disk. Every
other family needs its rows in memory: it is fitted on a stratified part, as large as may be held.
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
from include.records.arrays import Block, Blocks
from include.records.data import Dataset
from include.stages import fit as fit_stage
from include.stages import split as split_stage
from serving.bundle import Layout

log = logging.getLogger("ratchet")
MIB = 2**20
_BLOCKS = 32
"""A block is this part of what may be held: it is there some ten times over, as it is read, as it
is laid out and as the bins of the pages that XGBoost keeps at hand."""


def rows_held(context: IntakeContext, layout: Layout) -> int:
    """Return how many rows a fit may hold as one float32 matrix."""
    return max(1, context.settings.fit_memory * MIB // (4 * len(layout.features)))


def outgrows(context: IntakeContext, dataset: Dataset, layout: Layout) -> bool:
    """Say whether the train side is larger than a fit may hold."""
    return dataset.train_rows > rows_held(context, layout)


def part(context: IntakeContext, dataset: Dataset, layout: Layout) -> Block:
    """Return a stratified part of a train side that outgrows a fit, as large as may be held."""
    return _part(context, dataset, layout, rows_held(context, layout))


def fit(
    context: IntakeContext,
    dataset: Dataset,
    layout: Layout,
    pipeline: BaseEstimator,
    threshold: float,
) -> tuple[FixedThresholdClassifier, int]:
    """Fit a pipeline on a train side that outgrows a fit; return it and how many rows it saw.

    It sees every row if it can be fitted block by block, else the part that may be held.
    """
    told = (
        f"of {dataset.train_rows} train rows RATCHET_FIT_MEMORY ({context.settings.fit_memory} "
        f"MiB) holds {rows_held(context, layout)}"
    )
    if not fit_stage.reads_blocks(pipeline):
        log.warning("%s: the winner is fitted on a part; XGBoost would take all", told)
        X, y = part(context, dataset, layout)
        return fit_stage.fit(pipeline, threshold, X, y), len(y)
    log.info("%s: XGBoost is fitted on all of them from a cache on disk", told)
    some = _part(context, dataset, layout, _block_rows(context, layout))
    with _cache(context) as folder:
        blocks = _blocks(context, dataset, layout)
        model = fit_stage.fit_blocks(pipeline, threshold, blocks, some, folder)
    return model, dataset.train_rows


def _part(context: IntakeContext, dataset: Dataset, layout: Layout, rows: int) -> Block:
    return fit_stage.part(_blocks(context, dataset, layout), rows, dataset.train_rows)


def _blocks(context: IntakeContext, dataset: Dataset, layout: Layout) -> Blocks:
    rows = _block_rows(context, layout)
    return partial(context.lake.blocks, dataset.version, split_stage.TRAIN, layout, rows)


def _block_rows(context: IntakeContext, layout: Layout) -> int:
    return max(1, rows_held(context, layout) // _BLOCKS)


@contextmanager
def _cache(context: IntakeContext) -> Iterator[Path]:
    """Lend an empty folder; what a fit that was killed left in it goes first."""
    folder = context.settings.scratch / "fit" / context.spec.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
