"""Scores challenger and champion on the same holdout rows, in the same run.

A stored score is never used, because rows have landed since it was computed: both models predict
now, each on a matrix in its own layout. The time of one prediction is measured as well.

When killed: scores and figures are computed again and recorded over those of the first attempt.
"""

import logging
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from threadpoolctl import threadpool_limits

from include.context.step_context import StepContext
from include.metrics import Objective, objective
from include.metrics.predictions import Predictions
from include.problems import Criterion, criterion, problem_named
from include.records.arrays import Calls, Labels, Matrix
from include.records.judging import (
    NO_CHAMPION,
    Opponent,
    Rival,
    Scorecard,
    Scores,
    SliceScore,
    UnfitChampion,
)
from include.records.ledger_state import contender_metric
from include.records.models import ModelVersion
from include.records.proofs import LeakProof
from include.records.row_columns import Side
from include.records.row_filters import from_batches
from include.records.training import Plan
from include.reports import pictures
from include.spec.model_spec import Slice
from include.stages import score as score_stage
from include.steps import leak_proof
from serving.bundle import Bundle, single_thread

log = logging.getLogger("ratchet")
WARM_UPS, TIMED_ROWS = 3, 30


def score(context: StepContext, plan: Plan, challenger: ModelVersion) -> Scores:
    """Score both contenders; record scorecards, slices, leak proofs and figures in MLflow.

    A champion that cannot answer these rows has no scorecard.
    """
    champion = context.registry.champion.opponent_of(challenger)
    ground = leak_proof.holdout_rows(context, plan, [challenger, *([champion] if champion else [])])
    by = criterion(context.spec.problem, context.spec.gate.metric)
    mine = _answer(context, plan, challenger, ground, context.spec.slices)
    theirs = None if champion is None else _answer_if_fit(context, plan, champion, ground)
    drawn = {"challenger": mine.predictions} | ({"champion": theirs.predictions} if theirs else {})
    context.registry.runs.log_figures(plan.run_id, pictures.draw(mine.y, drawn, by))
    slices = tuple(_slices(context, by, mine, theirs))
    context.registry.runs.log(plan.run_id, metrics=_slice_metrics(slices, by.metric))
    scores = Scores(
        _scorecard(context, plan, "challenger", challenger, mine),
        _opponent(context, plan, champion, mine, theirs),
        metric=by.metric.name,
        problem=by.problem.name,
        slices=slices,
        proofs=tuple(answers.proof for answers in (mine, theirs) if answers),
        looks=context.registry.decisions.looks(challenger, len(mine.y)),
        barred=leak_proof.why_barred(context, plan),
    )
    context.registry.runs.log_grounds(plan.run_id, scores)
    return scores


def latency_ms(bundle: Bundle, X: Matrix) -> float:
    """Return the median time of predicting one row through a bundle, in milliseconds.

    X is a float32 matrix with at least one row. The bundle is set to one thread, as in a server,
    and stays so. The first predictions, which load libraries and fill caches, are not counted.
    """
    single_thread(bundle.model)
    with threadpool_limits(1):
        rows = (X[[number % len(X)]] for number in range(WARM_UPS + TIMED_ROWS))
        seconds = [_cost(bundle, row) for row in rows]
    return statistics.median(seconds[WARM_UPS:]) * 1000


def _cost(bundle: Bundle, row: Matrix) -> float:
    """Return the seconds that one prediction takes: the smaller of wall time and process time.

    On a busy host wall time includes waiting for a core, and process time includes other threads
    of this process; the smaller one is closer to the time of the model itself.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    bundle.scores(row)
    return min(time.perf_counter() - wall, time.process_time() - cpu)


@dataclass(frozen=True)
class _Answers:
    """A model's predictions on the holdout and the time of one; the matrix itself is not kept."""

    y: Labels
    predictions: Predictions
    latency_ms: float
    size_bytes: int
    inside: tuple[Calls, ...]
    """A boolean mask of the holdout rows for each slice of the spec."""
    proof: LeakProof


def _answer(
    context: StepContext,
    plan: Plan,
    version: ModelVersion,
    ground: leak_proof.HoldoutRows,
    slices: tuple[Slice, ...] = (),
) -> _Answers:
    bundle = context.registry.versions.bundle(version)
    # The same rows in the same order, each laid out as the model was fitted on them.
    layout, problem = bundle.manifest.layout, problem_named(context.spec.problem)
    where = from_batches(ground.batches)
    X, y = context.lake.matrix(plan.dataset.version, Side.HOLDOUT, layout, where)
    return _Answers(
        y,
        problem.predictions(bundle.scores(X), bundle.manifest.threshold),
        latency_ms(bundle, X),
        bundle.size_bytes,
        tuple(score_stage.members(X, layout, part) for part in slices),
        leak_proof.proof(context, plan, version, bundle.manifest, ground),
    )


def _answer_if_fit(
    context: StepContext, plan: Plan, champion: ModelVersion, ground: leak_proof.HoldoutRows
) -> _Answers | None:
    try:
        return _answer(context, plan, champion, ground)
    except ValueError as error:
        log.warning("champion %s cannot answer these rows: %s", champion.version, error)
        return None


def _opponent(
    context: StepContext,
    plan: Plan,
    champion: ModelVersion | None,
    mine: _Answers,
    theirs: _Answers | None,
) -> Opponent:
    if champion is None:
        return NO_CHAMPION
    if theirs is None:
        return UnfitChampion(champion.version)
    metric = objective(context.spec.gate.metric)
    evidence = metric.paired(mine.y, mine.predictions, theirs.predictions)
    return Rival(_scorecard(context, plan, "champion", champion, theirs), evidence)


def _scorecard(
    context: StepContext, plan: Plan, name: str, version: ModelVersion, answers: _Answers
) -> Scorecard:
    problem, data_version = problem_named(context.spec.problem), plan.dataset.version
    quality = score_stage.score(
        problem, answers.y, answers.predictions, version.version, data_version
    )
    card = replace(quality, latency_ms=answers.latency_ms, size_bytes=answers.size_bytes)
    log.info("%s: %s", name, card)
    context.registry.runs.log_scorecard(plan.run_id, name, card)
    return card


def _slices(
    context: StepContext, by: Criterion, mine: _Answers, theirs: _Answers | None
) -> Iterator[SliceScore]:
    for part, inside in zip(context.spec.slices, mine.inside, strict=True):
        other = theirs.predictions.at(inside) if theirs else None
        y, own = mine.y[inside], mine.predictions.at(inside)
        one = score_stage.score_slice(part.name, by, y, own, other)
        log.info("slice %s: %s", part.name, score_stage.slice_sentence(one, by.metric))
        yield one


def _slice_metrics(slices: tuple[SliceScore, ...], metric: Objective) -> dict[str, float]:
    return {
        contender_metric(contender, f"{metric.name}_slice_{one.name}"): value
        for one in slices
        for contender, value in (("challenger", one.challenger), ("champion", one.champion))
        if value is not None
    }
