"""Finds the best candidate in four tasks: screen, shortlist, job and finalists.

When killed: the result of each fit is on disk as soon as the fit ends, so a second attempt repeats
only the fit that was running, see `include.steps.race`.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from include.context.step_context import StepContext
from include.errors import RaceResultsMissingError
from include.records.training import Elimination, FitJob, Plan, Trial
from include.stages.select import FoldLabels
from include.steps import race, race_opening

log = logging.getLogger("ratchet")


def screen(context: StepContext, plan: Plan, family_name: str) -> list[Trial]:
    """Fit every candidate of a family on small parts of the train side; record and return trials.

    Each returned trial names the nested MLflow run that it is recorded in.
    """
    ran = race_opening.open_race(context, plan)
    race_opening.hand_on(ran)
    trials = race.screen(ran, family_name)
    return [
        replace(trial, run_id=context.registry.runs.log_trial(plan.run_id, trial, ran.metric))
        for trial in trials
    ]


def shortlist(context: StepContext, plan: Plan, screened: Sequence[Sequence[Trial]]) -> Elimination:
    """Drop the candidates that cannot win; the rest run the jobs of the semifinal.

    There are none when the train side is small. Raises SpecError when no candidate could be fitted.
    """
    trials = [trial for family in screened for trial in family]
    return _eliminated(context, plan, trials, race.shortlist)


def finalists(context: StepContext, plan: Plan, trials: Sequence[Trial]) -> Elimination:
    """Drop the candidates that lost the semifinal; the rest run jobs over all train rows.

    `trials` are those that `shortlist` returned. Raises SpecError when no candidate is left that
    could be fitted.
    """
    return _eliminated(context, plan, trials, race.finalists)


def run_job(context: StepContext, plan: Plan, fit_job: FitJob) -> FitJob:
    """Run the candidates of a job over its folds; fits that are on disk are not repeated."""
    return race.run_job(race_opening.open_race(context, plan), fit_job)


def _eliminated(
    context: StepContext,
    plan: Plan,
    trials: Sequence[Trial],
    eliminate: Callable[[race_opening.RaceOver[FoldLabels], Sequence[Trial]], Elimination],
) -> Elimination:
    """Compare stored results; where they were removed after the registration, nothing is run.

    Raises RaceResultsMissingError when results are missing and the run has no model version.
    """
    try:
        return eliminate(race_opening.open_stored(context, plan), trials)
    except RaceResultsMissingError:
        version = context.registry.versions.made_in(plan.run_id)
        if version is None:
            raise
        log.info("model version %s of this run is registered: no fit is left", version.version)
        return Elimination(tuple(trials), ())
