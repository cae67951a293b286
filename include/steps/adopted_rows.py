"""Finds the holdout rows that an adopted model may be judged on. Reads only.

The rule itself is in `include.stages.decide.adopted`. This file looks up what the rule needs: the
rows that the model was said to be fitted on, when each batch arrived, and how the model classifies
rows from before and after its adoption.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from include.context.step_context import StepContext
from include.errors import ModelRefusedError
from include.metrics.evidence import Evidence
from include.problems import criterion
from include.records.fitted_keys import FittedKeys
from include.records.models import ModelVersion, Origin
from include.records.proofs import AdoptionGround
from include.records.row_columns import BATCH, KEYS, Side
from include.records.row_filters import from_batches
from include.records.training import Plan
from include.stages.decide import names_known_rows
from include.steps.computed_keys import keyed_by

log = logging.getLogger("ratchet")


@dataclass(frozen=True)
class AdoptedContender:
    """What the table and the registry know about an adopted contender."""

    ground: AdoptionGround
    later: tuple[str, ...]
    """Digests of the batches that arrived after its adoption and hold none of its fitted rows."""


def adopted_contender(context: StepContext, plan: Plan, version: ModelVersion) -> AdoptedContender:
    """Return which batches an adopted version may be judged on, and what is known of its rows."""
    newest = plan.dataset.version
    since = version.data_version
    came = context.lake.batches_after(since, newest)
    later = tuple(digest for digest in came if context.lake.came_after(digest, since))
    ground = AdoptionGround(since)
    if version.origin is Origin.ADOPTED_UNPROVED:
        return AdoptedContender(ground, later)
    try:
        keys = context.registry.adoptions.fitted_keys(version)
    except ModelRefusedError as error:
        return AdoptedContender(replace(ground, problem=str(error)), later)
    ground, spoilt = _named(context, newest, keys, ground)
    later = tuple(digest for digest in later if digest not in spoilt)
    if names_known_rows(ground) and later:
        ground = _compared(context, plan, version, ground, later)
    return AdoptedContender(ground, later)


def _named(
    context: StepContext, newest: int, keys: FittedKeys, ground: AdoptionGround
) -> tuple[AdoptionGround, set[str]]:
    """Compare the rows that a model was fitted on with the table.

    Returns the ground with the counts, and the batches with holdout rows among the fitted ones.
    """
    train, holdout = (
        context.lake.keys.among(keys, newest, side, keyed_by(context)) for side in Side
    )
    known = replace(
        ground,
        named_rows=keys.rows.height,
        known_share=train.select(KEYS).n_unique() / keys.rows.height,
        shared_rows=holdout.height,
    )
    return known, set(holdout[BATCH])


def _compared(
    context: StepContext,
    plan: Plan,
    version: ModelVersion,
    ground: AdoptionGround,
    later: Sequence[str],
) -> AdoptionGround:
    every = context.lake.batches_after(-1, plan.dataset.version)
    older = sorted(set(every) - set(later))
    try:
        before, since = (_counted(context, plan, version, some) for some in (older, later))
    except ValueError as error:
        log.warning("adopted version %s cannot answer these rows: %s", version.version, error)
        return ground
    return replace(ground, older=before, later=since)


def _counted(
    context: StepContext, plan: Plan, version: ModelVersion, batches: Sequence[str]
) -> Evidence:
    bundle = context.registry.versions.bundle(version)
    layout = bundle.manifest.layout
    where = from_batches(batches)
    X, y = context.lake.matrix(plan.dataset.version, Side.HOLDOUT, layout, where)
    probability = bundle.scores(X) if len(y) else np.empty(0)
    by = criterion(context.spec.problem, context.spec.gate.metric)
    predictions = by.problem.predictions(probability, bundle.manifest.threshold)
    return by.metric.evidence(y, predictions)
