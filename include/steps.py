"""The pipeline, read top to bottom: one function a stage, each reads, calls its pure stage, writes.

A step may be killed at any instruction and run again: what it wrote is whole or absent, and what it
recorded is found again by the run that recorded it.
"""

import logging
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version as installed

import numpy as np

from include import intake, pictures
from include.arrays import Labels, Matrix
from include.bundle import Bundle, Layout, Manifest, encode
from include.errors import EndpointError, NothingToDoError
from include.records import (
    Batch,
    Candidate,
    Dataset,
    Decision,
    Form,
    Intake,
    ModelVersion,
    Plan,
    Scores,
    Served,
    Trial,
    Verdict,
)
from include.settings import code_version
from include.spec import Spec
from include.stages import fit as fit_stage
from include.stages import promote as promote_stage
from include.stages import score as score_stage
from include.stages import select as select_stage
from include.stages import split as split_stage
from include.workplace import Workplace

log = logging.getLogger("ratchet")
EXAMPLE_ROWS = 5
SERVING_PATIENCE_SECONDS = 60.0
LIBRARIES = ("scikit-learn", "xgboost-cpu", "numpy", "joblib")


def ingest(at: Workplace) -> list[Batch]:
    """Claim what waits in the landing place and type its rows; bad ones are refused."""
    batches: list[Batch] = []
    for delivery in at.landing.claim():
        if any(batch.digest == delivery.digest and not batch.note for batch in batches):
            batches.append(intake.twin(delivery))
        else:
            batches.append(intake.ingest_delivery(at, delivery))
    if not batches:
        log.info("nothing is waiting in %s", at.landing.url)
    return batches


def dedup(at: Workplace, batches: Sequence[Batch]) -> list[Batch]:
    """Subtract all history from each batch."""
    return [batch if batch.note else intake.dedup_batch(at, batch) for batch in batches]


def split(at: Workplace, batches: Sequence[Batch]) -> Intake:
    """Give every new row its side for good, commit batch by batch, archive the files.

    A batch is first subtracted from those of this run that were committed before it.
    """
    done = tuple(batch if batch.note else intake.split_batch(at, batch) for batch in batches)
    if at.lake.is_crowded():
        log.info("tidied: %s", at.lake.compact(at.registry.data_versions()))
    dataset = at.lake.dataset()
    log.info("data set: %s", dataset or "no row has ever been committed")
    return Intake(done, dataset)


def plan(at: Workplace, taken_in: Intake, form: Form, dag_run: str) -> Plan:
    """Open the MLflow run of this training, or say why there is nothing to train."""
    dataset = _require_trainable(at.spec, taken_in)
    decided = at.registry.decided_data_version(dag_run)
    if form.no_new_data == "skip" and decided is not None and decided >= dataset.grown:
        raise NothingToDoError(
            f"no row is new since data version {decided}, on which a run has decided. "
            f"{_noted(taken_in)}To train all the same, trigger the Dag with 'no_new_data' set to "
            "'retrain'"
        )
    tags = {"ratchet.code": code_version(at.settings), "ratchet.note": form.note}
    tags |= {f"ratchet.library.{name}": installed(name) for name in LIBRARIES}
    run_id = at.registry.open_run(dag_run, dataset.version, tags)
    rows = sum(dataset.train.values())
    counts = {f"train_{name}": count for name, count in dataset.train.items()}
    counts |= {f"holdout_{name}": count for name, count in dataset.holdout.items()}
    at.registry.log(run_id, metrics=counts | _batch_totals(taken_in.batches))
    log.info("MLflow run: %s", at.registry.page(run_id))
    at.registry.log_dataset(run_id, at.lake.url, dataset.version)
    at.registry.log_table(run_id, "batches.json", [asdict(batch) for batch in taken_in.batches])
    return Plan(run_id, dataset, min(rows, at.spec.selection.screened_rows))


def screen(at: Workplace, plan: Plan, family_name: str) -> list[Trial]:
    """Judge every candidate of a family on a stratified part of the train side."""
    side = _train_side(at, plan)
    part = select_stage.sample(side.y, plan.screened_rows, at.spec.selection)
    screened = _TrainSide(side.layout, side.X[part], side.y[part])
    family = at.spec.family(family_name)
    listed = select_stage.candidates(family)
    return [_try(at, plan, candidate, screened) for candidate in listed]


def shortlist(at: Workplace, plan: Plan, screened: Sequence[Sequence[Trial]]) -> list[Trial]:
    """Rank all candidates and return the finalists."""
    ranked = select_stage.leaderboard(trial for family in screened for trial in family)
    at.registry.log_table(plan.run_id, "leaderboard.json", [asdict(trial) for trial in ranked])
    for place, trial in enumerate(ranked, 1):
        log.info("%2d. F1 %.4f  %s %s", place, trial.f1, trial.candidate.title, trial.failure)
    return select_stage.shortlist(ranked, at.spec.selection)


def final(at: Workplace, plan: Plan, finalist: Trial) -> Trial:
    """Judge a finalist on the whole train side, unless its screening was on all of it."""
    if finalist.rows == sum(plan.dataset.train.values()):
        log.info("%s was screened on every train row already", finalist.candidate.title)
        return finalist
    return _try(at, plan, finalist.candidate, _train_side(at, plan))


def fit(at: Workplace, plan: Plan, finals: Sequence[Trial]) -> ModelVersion:
    """Fit the winner on the whole train side and register it as a model version."""
    winner = select_stage.shortlist(finals, at.spec.selection)[0]
    family = at.spec.family(winner.candidate.family)
    side = _train_side(at, plan)
    started = time.perf_counter()
    pipeline = select_stage.build(winner.candidate, family, at.spec.selection.seed, side.layout)
    model = fit_stage.fit(pipeline, winner.threshold, side.X, side.y)
    seconds = time.perf_counter() - started
    log.info("fitted %s on %d rows in %.1f s", winner.candidate.title, len(side.y), seconds)
    params = {"family": winner.candidate.family, "threshold": winner.threshold}
    at.registry.log(
        plan.run_id,
        params=params | winner.candidate.params,
        metrics={"select_f1": winner.f1, "fit_seconds": seconds},
    )
    manifest = _manifest(at, plan, winner, side.layout)
    requirements = [f"{name}=={number}" for name, number in manifest.libraries.items()]
    return at.registry.register(
        plan.run_id, model, manifest, requirements, {"ratchet.family": winner.candidate.family}
    )


def score(at: Workplace, plan: Plan, challenger: ModelVersion) -> Scores:
    """Score challenger and champion on the same holdout rows, now."""
    versions = {"challenger": challenger}
    champion = at.registry.opponent(challenger)
    if champion is not None:
        versions["champion"] = champion
    contenders, cards = {}, {}
    for name, version in versions.items():
        bundle = at.registry.bundle(version)
        # The same rows in the same order, each laid out as the model was fitted on them.
        X, y = at.lake.matrix(plan.dataset.version, split_stage.HOLDOUT, bundle.manifest.layout)
        try:
            contenders[name] = _answers(bundle, X)
        except ValueError as error:
            if version == challenger:
                raise
            log.warning("champion %s cannot answer these rows: %s", version.version, error)
            break
        cards[name] = score_stage.score(
            y,
            contenders[name].probability,
            contenders[name].threshold,
            version.version,
            plan.dataset.version,
        )
        log.info("%s: %s", name, cards[name])
        at.registry.log_scorecard(plan.run_id, name, cards[name])
    at.registry.log_figures(plan.run_id, pictures.draw(y, contenders))
    if champion is None:
        return Scores(cards["challenger"])
    if "champion" not in contenders:
        return Scores(cards["challenger"], unfit_champion=champion.version)
    agreement = score_stage.agree(y, contenders["challenger"].calls, contenders["champion"].calls)
    return Scores(cards["challenger"], cards["champion"], agreement)


def promote(
    at: Workplace, plan: Plan, challenger: ModelVersion, scores: Scores, form: Form
) -> Decision:
    """Decide, record the decision, and move the champion alias if the challenger earned it."""
    decision = promote_stage.promote(scores, form, at.spec.gate)
    log.info("%s: %s", decision.verdict, decision.reason)
    if decision.verdict is Verdict.PROMOTE:
        judged_against = scores.champion.model_version if scores.champion else scores.unfit_champion
        at.registry.promote(challenger, judged_against)
    at.registry.log_decision(plan.run_id, challenger, decision)
    return decision


def serve(at: Workplace, plan: Plan) -> Served:
    """Wait until the endpoint holds the champion and answers as the pipeline does."""
    champion = at.registry.champion()
    if champion is None:
        raise NothingToDoError(f"{at.spec.model} has no champion yet, so there is none to serve")
    waited = at.endpoint.wait_for(champion.version, SERVING_PATIENCE_SECONDS)
    bundle = at.registry.bundle(champion)
    layout = bundle.manifest.layout
    rows = at.lake.sample(plan.dataset.version, split_stage.HOLDOUT, layout, EXAMPLE_ROWS)
    version, answered = at.endpoint.infer(layout, rows)
    expected = bundle.probability(encode(layout, rows))
    if version != champion.version or not np.allclose(answered, expected, atol=1e-6, rtol=0):
        raise EndpointError(
            f"{at.spec.model} version {version} answered {answered.tolist()} where champion "
            f"{champion.version} gives {expected.tolist()}: look at the serving log"
        )
    log.info("%s version %s answers after %.1f s", at.spec.model, version, waited)
    return Served(at.spec.model, version, len(rows), waited)


@dataclass(frozen=True)
class _TrainSide:
    """The rows that candidates are fitted on, and how their columns are laid out."""

    layout: Layout
    X: Matrix
    y: Labels


def _train_side(at: Workplace, plan: Plan) -> _TrainSide:
    layout = at.lake.layout(plan.dataset.version, at.lake.require_contract())
    X, y = at.lake.matrix(plan.dataset.version, split_stage.TRAIN, layout)
    return _TrainSide(layout, X, y)


def _noted(taken_in: Intake) -> str:
    """Say why files of this run brought no row, for the person who dropped them."""
    return "".join(f"{batch.name}: {batch.note}. " for batch in taken_in.batches if batch.note)


def _require_trainable(spec: Spec, taken_in: Intake) -> Dataset:
    dataset = taken_in.dataset
    if dataset is None:
        raise NothingToDoError(
            f"no row has ever landed, so there is nothing to train on. {_noted(taken_in)}".rstrip()
        )
    folds = spec.selection.folds
    if min(dataset.train.values()) < folds or min(dataset.holdout.values()) < 1:
        raise NothingToDoError(
            f"too few rows of a class for {folds} folds: train {dataset.train}, "
            f"holdout {dataset.holdout}. Drop more labelled rows"
        )
    return dataset


def _batch_totals(batches: Sequence[Batch]) -> dict[str, float]:
    fields = ("read", "new", "duplicates", "refused")
    totals: Counter[str] = Counter()
    for batch in batches:
        totals.update({f"batch_{name}": getattr(batch, name) for name in fields})
        totals.update({f"refused_{_slug(why)}": rows for why, rows in batch.reasons.items()})
    return dict(totals)


def _slug(reason: str) -> str:
    """Return a reason as a metric's name."""
    return re.sub(r"\W+", "_", reason.lower()).strip("_")


def _try(at: Workplace, plan: Plan, candidate: Candidate, side: _TrainSide) -> Trial:
    family, rule = at.spec.family(candidate.family), at.spec.selection
    pipeline = select_stage.build(candidate, family, rule.seed, side.layout)
    try:
        trial, probability = select_stage.cross_validate(candidate, pipeline, side.X, side.y, rule)
    except ValueError as error:
        failed = Trial(candidate, len(side.y), 0.0, (), 0.5, 0.0, failure=str(error))
        log.warning("%s is out of the race: %s", candidate.title, error)
        return replace(failed, run_id=at.registry.log_failed_trial(plan.run_id, failed))
    log.info("F1 %.4f in %5.1f s  %s", trial.f1, trial.seconds, candidate.title)
    return replace(trial, run_id=at.registry.log_trial(plan.run_id, trial, probability))


def _manifest(at: Workplace, plan: Plan, winner: Trial, layout: Layout) -> Manifest:
    rows = at.lake.sample(plan.dataset.version, split_stage.TRAIN, layout, EXAMPLE_ROWS)
    return Manifest(
        name=at.spec.model,
        family=winner.candidate.family,
        layout=layout,
        threshold=winner.threshold,
        labels=(str(at.spec.data.negative), str(at.spec.data.positive)),
        data_version=plan.dataset.version,
        example=tuple(map(tuple, rows)),
        libraries={name: installed(name) for name in LIBRARIES},
    )


def _answers(bundle: Bundle, X: Matrix) -> pictures.Contender:
    return pictures.Contender(bundle.probability(X), bundle.manifest.threshold)
