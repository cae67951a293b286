"""Fits the winner of the race on the whole train side and registers it as a model version.

When killed: a version that was registered is found again by its MLflow run; otherwise the winner is
fitted again, from the race results on disk, which are removed only after the registration.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sklearn.model_selection import FixedThresholdClassifier

from include.context.step_context import StepContext
from include.metrics import Objective
from include.records.models import FAMILY, TABLE, ModelVersion
from include.records.row_columns import Side
from include.records.training import Plan, Trial
from include.steps import fit_out_of_memory, race, race_opening
from include.steps.manifests import ExampleRows, manifest_of
from include.steps.race import RaceOutcome
from include.steps.race_opening import Race

log = logging.getLogger("ratchet")


def fit(context: StepContext, plan: Plan, trials: Sequence[Trial]) -> ModelVersion:
    """Return the model version of this run, fitted and registered unless that was done before.

    `trials` are the newest ones of all candidates, as `finalists` returned them. Raises SpecError
    when no finalist could be fitted.
    """
    ran = race_opening.open_race(context, plan)
    made = context.registry.versions.made_in(plan.run_id)
    version = made or fit_and_register(context, plan, ran, trials)
    ran.results.clear()
    return version


def fit_and_register(
    context: StepContext, plan: Plan, ran: Race, trials: Sequence[Trial]
) -> ModelVersion:
    """Record the leaderboard, fit the winner and register it, whatever was done before."""
    race_outcome = race.finish(ran, trials)
    _record(context, plan, race_outcome, ran.metric)
    winner = race_outcome.winner
    started = time.perf_counter()
    model, rows = _fit(context, plan, ran, race_outcome)
    seconds = time.perf_counter() - started
    log.info("fitted %s on %d rows in %.1f s", winner.candidate.title, rows, seconds)
    params = {"family": winner.candidate.family, "threshold": winner.threshold}
    context.registry.runs.log(
        plan.run_id,
        params=params | winner.candidate.params,
        metrics={
            f"select_{ran.metric.name}": winner.value,
            "fit_seconds": seconds,
            "fitted_rows": rows,
        },
    )
    examples = ExampleRows(plan.dataset.version, Side.TRAIN, ran.layout)
    manifest = manifest_of(context, examples, winner.candidate.family, winner.threshold)
    requirements = [f"{name}=={number}" for name, number in manifest.libraries.items()]
    tags = {FAMILY: winner.candidate.family, TABLE: context.lake.identity()}
    version = context.registry.versions.register(plan.run_id, model, manifest, requirements, tags)
    log.info("Model version: %s", context.registry.pages.of_version(version))
    return version


def _record(context: StepContext, plan: Plan, race_outcome: RaceOutcome, metric: Objective) -> None:
    """Record the leaderboard, and the out-of-fold probabilities of the finalists, in MLflow."""
    log.info("The leaderboard; the first is fitted on the whole train side:")
    race.log_leaderboard(race_outcome.trials, metric, "ran to the end")
    lines = {trial.candidate.title: trial for trial in race_outcome.trials}
    for result in race_outcome.results:
        line = lines[result.trial.candidate.title]
        context.registry.runs.log_trial(plan.run_id, line, metric, result.probability)
    lines_of_all = [_line(trial, metric) for trial in race_outcome.trials]
    context.registry.runs.log_table(plan.run_id, "leaderboard.json", lines_of_all)


def _line(trial: Trial, metric: Objective) -> dict[str, Any]:
    """Return a trial as a line of the leaderboard, with values under the name of the metric.

    The value of a failed one is None, not 0.
    """
    nothing = {"value": None, "threshold": None} if trial.failure else {}
    names = {
        "value": metric.name,
        "fold_values": f"fold_{metric.name}",
        "best_value": f"best_{metric.name}",
    }
    return {names.get(name, name): value for name, value in (asdict(trial) | nothing).items()}


def _fit(
    context: StepContext, plan: Plan, ran: Race, race_outcome: RaceOutcome
) -> tuple[FixedThresholdClassifier, int]:
    """Fit the winner; return the fitted model and the number of rows that it was fitted on."""
    if fit_out_of_memory.outgrows(context, plan.dataset, ran.layout):
        unfitted = race.unfitted_winner(ran, race_outcome)
        threshold = race_outcome.winner.threshold
        return fit_out_of_memory.fit(context, plan.dataset, ran.layout, unfitted, threshold)
    return race.fit(ran, race_outcome), ran.side.rows
