"""Which candidate is best: screened by family, run in heats over the folds of the train side."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from include.context.step_context import StepContext
from include.records.training import Heat, Plan, Trial
from include.steps import race

log = logging.getLogger("ratchet")


def screen(context: StepContext, plan: Plan, family_name: str) -> list[Trial]:
    """Judge every candidate of a family on small parts of the train side."""
    trials = race.screen(race.open_race(context, plan), family_name)
    return [replace(one, run_id=context.registry.log_trial(plan.run_id, one)) for one in trials]


def shortlist(context: StepContext, plan: Plan, screened: Sequence[Sequence[Trial]]) -> list[Heat]:
    """Drop the clearly beaten; who is left meets in a semifinal where the rows are many."""
    field = race.shortlist(race.open_race(context, plan), screened)
    return list(field.heats)


def finalists(context: StepContext, plan: Plan, screened: Sequence[Sequence[Trial]]) -> list[Heat]:
    """Drop who was clearly beaten in the semifinal; who is left runs over all train rows."""
    field = race.finalists(race.open_race(context, plan), screened)
    return list(field.heats)


def heat(context: StepContext, plan: Plan, heat: Heat) -> Heat:
    """Run candidates over their folds; a repeated heat finds what it has done."""
    return race.run(race.open_race(context, plan), heat)
