"""Leak proof: shows that neither contender was fitted on a holdout row. Reads only.

Before two models are compared, the keys of the rows that each was fitted on are compared with the
keys of the holdout rows, both as they are in the table now. What a version says about itself is not
enough. The file also chooses the holdout rows that an adopted model may be judged on, and finds a
model of the same data that was rolled back.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from include.context.step_context import StepContext
from include.errors import DataVersionError
from include.problems import Criterion, criterion
from include.records.data import Counts
from include.records.models import ModelVersion, Origin
from include.records.proofs import AdoptionGround, LeakProof
from include.records.row_columns import Side
from include.records.row_filters import from_batches
from include.records.training import Plan
from include.stages import roll_back as roll_back_stage
from include.stages.decide import (
    LEAST_OF_A_CLASS,
    counts_everywhere,
    in_words,
    missing,
    reservation,
)
from include.steps import adopted_rows as adopted_rows_step
from include.steps.computed_keys import keyed_by
from serving.bundle import Manifest

log = logging.getLogger("ratchet")


@dataclass(frozen=True)
class HoldoutRows:
    """The holdout rows that both contenders are scored on."""

    batches: tuple[str, ...] | None = None
    """Digests of the batches that the rows arrived in; None for the whole holdout."""
    problem: str = ""
    """Why there are too few rows yet to judge an adopted contender; empty when there are enough."""
    adopted: Mapping[str, AdoptionGround] = field(default_factory=dict)
    """What is known of each adopted contender, by model version."""


def holdout_rows(context: StepContext, plan: Plan, versions: Sequence[ModelVersion]) -> HoldoutRows:
    """Return the holdout rows that all contenders are scored on.

    That is the whole holdout, unless an adopted contender may have been fitted on some of it: then
    only the batches that arrived after the adoption of every such contender.
    """
    adopted = {
        one.version: adopted_rows_step.adopted_contender(context, plan, one)
        for one in versions
        if one.origin is not Origin.FITTED
    }
    grounds = {version: one.ground for version, one in adopted.items()}
    compared_by = criterion(context.spec.problem, context.spec.gate.metric)
    limited = [one for one in adopted.values() if not counts_everywhere(one.ground, compared_by)]
    if not limited:
        return HoldoutRows(adopted=grounds)
    everyones = set.intersection(*(set(one.later) for one in limited))
    counts = context.lake.classes(plan.dataset.version, Side.HOLDOUT, from_batches(everyones))
    if more := missing(counts):
        since = max(one.ground.data_version for one in limited)
        return HoldoutRows(problem=_too_few(since, counts, more), adopted=grounds)
    return HoldoutRows(tuple(sorted(everyones)), adopted=grounds)


def _too_few(since: int, counts: Counts, more: str) -> str:
    return (
        f"since its adoption at data version {since} the holdout has grown by "
        f"{in_words(counts)} rows that may judge it, "
        f"at least {LEAST_OF_A_CLASS} of each are needed: it takes {more} ones"
    )


def proof(
    context: StepContext, plan: Plan, version: ModelVersion, manifest: Manifest, ground: HoldoutRows
) -> LeakProof:
    """Compare the rows that a contender was fitted on with the holdout; log and return the result.

    A proof with a `problem` or with shared rows bars the contender; nothing is raised.
    """
    result = _proof(context, plan, version, manifest, ground)
    log.info("leak proof of version %s: %s", version.version, result)
    return result


def why_barred(context: StepContext, plan: Plan) -> str:
    """Return why no model of this run's data may become champion, empty when one may.

    That is so when a model of the same data was rolled back: training again on the same rows would
    only bring it back.
    """
    for withdrawal in reversed(roll_back_stage.withdrawn(context.registry.champion.moves())):
        version = context.registry.champion.reached_by(withdrawal.champion)
        if version is not None and plan.dataset.grown <= version.data_version:
            why = f" ({withdrawal.by.reason})" if withdrawal.by.reason else ""
            return (
                f"version {version.version} was rolled back on {withdrawal.by.at[:10]}{why}, and "
                f"no row is new since data version {version.data_version} that it was fitted on: "
                "a model of the same data does not take its place"
            )
    return ""


def _proof(
    context: StepContext, plan: Plan, version: ModelVersion, manifest: Manifest, ground: HoldoutRows
) -> LeakProof:
    problem = _contradiction(context, version, manifest)
    if problem:
        return LeakProof(version.version, 0, 0, problem)
    if version.version in ground.adopted:
        return _word(version, ground, criterion(context.spec.problem, context.spec.gate.metric))
    try:
        fitted, shared = context.lake.keys.shared(
            version.data_version, plan.dataset.version, keyed_by(context)
        )
    except DataVersionError as error:
        return LeakProof(version.version, 0, 0, str(error))
    return LeakProof(version.version, fitted, shared)


def _word(version: ModelVersion, ground: HoldoutRows, compared_by: Criterion) -> LeakProof:
    """Return the proof of an adopted version, whose fitted rows are known only from its file."""
    adopted = ground.adopted[version.version]
    named, shared = adopted.named_rows, adopted.shared_rows
    if ground.problem and not counts_everywhere(adopted, compared_by):
        problem = f"{reservation(adopted, compared_by)}, and {ground.problem}"
        return LeakProof(version.version, named, shared, problem, waits=True, adopted=adopted)
    return LeakProof(version.version, named, 0, adopted=adopted)


def _contradiction(context: StepContext, version: ModelVersion, manifest: Manifest) -> str:
    if manifest.data_version != version.data_version:
        return (
            f"the registry says that it was fitted on data version {version.data_version}, its own "
            f"bundle says {manifest.data_version}"
        )
    if version.table and version.table != context.lake.identity():
        return f"{context.lake.url} holds another table than the one that it was fitted on"
    return ""
