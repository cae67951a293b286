"""Finds the best candidate in four tasks: screen, shortlist, heat and finalists.

When killed: the result of each fit is on disk as soon as the fit ends, so a second attempt repeats
only the fit that was running, see `include.steps.race`.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from include.context.step_context import StepContext
from include.records.training import Heat, Plan, Trial
from include.steps import race

log = logging.getLogger("ratchet")


def screen(context: StepContext, plan: Plan, family_name: str) -> list[Trial]:
    """Fit every candidate of a family on small parts of the train side; record and return trials.

    Each returned trial names the nested MLflow run that it is recorded in.
    """
    trials = race.screen(race.open_race(context, plan), family_name)
    return [
        replace(trial, run_id=context.registry.log_trial(plan.run_id, trial)) for trial in trials
    ]


def shortlist(context: StepContext, plan: Plan, screened: Sequence[Sequence[Trial]]) -> list[Heat]:
    """Drop the candidates that cannot win; return the heats of the semifinal for the rest.

    There are none when the train side is small. Raises SpecError when no candidate could be fitted.
    """
    field = race.shortlist(race.open_race(context, plan), screened)
    return list(field.heats)


def finalists(context: StepContext, plan: Plan, screened: Sequence[Sequence[Trial]]) -> list[Heat]:
    """Drop the candidates that lost the semifinal; return the heats over all train rows.

    Raises SpecError when no candidate is left that could be fitted.
    """
    field = race.finalists(race.open_race(context, plan), screened)
    return list(field.heats)


def heat(context: StepContext, plan: Plan, heat: Heat) -> Heat:
    """Run the candidates of a heat over its folds; fits that are on disk are not repeated."""
    return race.run(race.open_race(context, plan), heat)
