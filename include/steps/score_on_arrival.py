"""Scores the champion on each new batch before any model is fitted on its rows.

This is prequential evaluation, first predict and then learn (Dawid, Statistical Theory: The
Prequential Approach, JRSS A 147, 1984). Both sides of a batch count, train and holdout, and so do
batches after which no training starts. A falling score is the first sign of drift. No decision
depends on it, so a champion that cannot be scored is only a warning in the log.

When killed: batches that are recorded already are skipped, the others are scored.
"""

import logging
from collections.abc import Sequence

import numpy as np

from include.context.step_context import StepContext
from include.errors import RatchetError
from include.metrics import objective
from include.problems import problem_named
from include.records.data import Batch, in_words
from include.records.judging import Scorecard
from include.records.ledger_state import contender_metric
from include.records.models import ModelVersion
from include.records.row_columns import Side
from include.records.row_filters import from_batches
from include.stages import score as score_stage
from include.stages.decide import LEAST_OF_A_CLASS

log = logging.getLogger("ratchet")


def score_arrivals(context: StepContext, batches: Sequence[Batch]) -> None:
    """Score the champion on each batch committed after its own data version; record it in MLflow.

    Does nothing without a champion. A batch that is recorded already is not scored again.
    """
    champion = context.registry.champion.current()
    if champion is None:
        return
    unseen = [
        batch for batch in batches if batch.new and (batch.committed or 0) > champion.data_version
    ]
    known = context.registry.arrivals.data_versions() if unseen else set()
    for batch in unseen:
        if batch.committed not in known:
            _score_arrival(context, champion, batch)


def _score_arrival(context: StepContext, champion: ModelVersion, batch: Batch) -> None:
    try:
        card = _scorecard(context, champion, batch)
    except (ValueError, RatchetError) as error:
        log.warning("champion %s was not scored on %s: %s", champion.version, batch.name, error)
        return
    problem = problem_named(context.spec.problem)
    context.registry.arrivals.log(card, problem.arrival(card.numbers()))
    metric = objective(context.spec.gate.metric)
    name = contender_metric("challenger", metric.name)
    usual = context.registry.runs.metric(champion.run_id, name)
    log.info(
        "champion %s on %d rows of %s that it has never seen: %s %s; on the holdout that it was "
        "promoted on: %s",
        champion.version,
        card.rows,
        batch.name,
        metric.title,
        metric.written(card.value(metric)),
        "unknown" if usual is None else metric.written(usual),
    )


def _scorecard(context: StepContext, champion: ModelVersion, batch: Batch) -> Scorecard:
    """Score the champion on all rows of a batch; ValueError when a class has too few rows."""
    version = batch.committed or 0
    where = from_batches([batch.digest])
    counts = [context.lake.classes(version, side, where) for side in Side]
    rows = {name: sum(count[name] for count in counts) for name in counts[0]}
    if min(rows.values()) < LEAST_OF_A_CLASS:
        raise ValueError(
            f"too few rows of a class: {in_words(rows)}, at least {LEAST_OF_A_CLASS} are needed"
        )
    bundle = context.registry.versions.bundle(champion)
    layout = bundle.manifest.layout
    sides = [context.lake.matrix(version, side, layout, where) for side in Side]
    X, y = (np.concatenate(part) for part in zip(*sides, strict=True))
    problem = problem_named(context.spec.problem)
    predictions = problem.predictions(bundle.scores(X), bundle.manifest.threshold)
    return score_stage.score(problem, y, predictions, champion.version, version)
