"""What a judgement rests on beside the scores: which rows, which proof, what was seen before.

A model that saw a holdout row is not judged on it. So before anything is compared the keys of the
rows that each contender was fitted on are held against those of the holdout, as the table has both
now; a version's word for it is not enough.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from include.errors import DataVersionError, ModelRefusedError
from include.records import ModelVersion, Origin, Plan, Proof
from include.stages import roll_back as roll_back_stage
from include.stages.promote import LEAST_OF_A_CLASS
from include.stages.split import HOLDOUT
from include.workplace import Workplace
from serving.bundle import Manifest

log = logging.getLogger("ratchet")


@dataclass(frozen=True)
class Ground:
    """The holdout rows that both contenders are scored on."""

    batches: tuple[str, ...] | None = None
    """Digests of the batches they came in; None for the whole holdout."""
    problem: str = ""
    """Why a contender without proof cannot be judged on it yet."""


def ground(at: Workplace, plan: Plan, versions: Sequence[ModelVersion]) -> Ground:
    """Return the rows to score on: those since its adoption when a contender brought no proof."""
    given_up = [one.data_version for one in versions if one.origin is Origin.ADOPTED_UNPROVED]
    if not given_up:
        return Ground()
    since, newest = max(given_up), plan.dataset.version
    batches = at.lake.batches_after(since, newest)
    counts = at.lake.classes(newest, HOLDOUT, batches)
    if min(counts.values()) >= LEAST_OF_A_CLASS:
        return Ground(batches)
    return Ground(
        problem=f"it was adopted at data version {since} without the rows it was fitted on, and "
        f"since then the holdout has grown by {counts}: at least {LEAST_OF_A_CLASS} of each class "
        "are needed to judge it on those alone"
    )


def proof(
    at: Workplace, plan: Plan, version: ModelVersion, manifest: Manifest, ground: Ground
) -> Proof:
    """Hold what a contender was fitted on against the holdout; log and record what was found."""
    found = _proof(at, plan, version, manifest, ground)
    log.info("leak proof of version %s: %s", version.version, found.problem or found)
    return found


def barred(at: Workplace, plan: Plan) -> str:
    """Return why the data of a run may bring forth no champion, empty when they may.

    A model of the same data was rolled back: training again would only bring it back.
    """
    for one in reversed(roll_back_stage.withdrawn(at.registry.moves())):
        version = at.registry.moved_to(one.champion)
        if version is not None and plan.dataset.grown <= version.data_version:
            why = f" ({one.by.reason})" if one.by.reason else ""
            return (
                f"version {version.version} was rolled back on {one.by.at[:10]}{why}, and no row "
                f"is new since data version {version.data_version} that it was fitted on: a model "
                "of the same data does not take its place"
            )
    return ""


def _proof(
    at: Workplace, plan: Plan, version: ModelVersion, manifest: Manifest, ground: Ground
) -> Proof:
    problem = _contradiction(at, version, manifest)
    if version.origin is Origin.ADOPTED_UNPROVED:
        return Proof(version.version, 0, 0, problem or ground.problem)
    if problem:
        return Proof(version.version, 0, 0, problem)
    try:
        fitted, shared = _met(at, plan, version)
    except (DataVersionError, ModelRefusedError) as error:
        return Proof(version.version, 0, 0, str(error))
    return Proof(version.version, fitted, shared)


def _met(at: Workplace, plan: Plan, version: ModelVersion) -> tuple[int, int]:
    """Return the rows that a version was fitted on, and the holdout rows that share their keys."""
    if version.origin is Origin.FITTED:
        return at.lake.shared_keys(version.data_version, plan.dataset.version)
    keys = at.registry.fitted_keys(version)
    met = at.lake.matches(keys, plan.dataset.version)
    return keys.height, met.filter(side=HOLDOUT).height


def _contradiction(at: Workplace, version: ModelVersion, manifest: Manifest) -> str:
    if manifest.data_version != version.data_version:
        return (
            f"the registry says that it was fitted on data version {version.data_version}, its own "
            f"bundle says {manifest.data_version}"
        )
    if version.table and version.table != at.lake.identity():
        return f"{at.lake.url} holds another table than the one that it was fitted on"
    return ""
