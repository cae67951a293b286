"""Tells what came, what was decided and why, in the log and on the page of the MLflow run."""

import logging

from include.context.step_context import StepContext
from include.records.training import Plan
from include.reports import run_report
from include.reports.account import Account, Told
from include.text.showable import LONGEST

log = logging.getLogger("ratchet")


def report(context: StepContext, account: Account, plan: Plan | None) -> Told:
    """Tell what came, what was decided and why, in the log and on the page of the MLflow run."""
    story = run_report.report(account)
    for sentence in story.sentences:
        log.info("%s", sentence)
    if plan is not None:
        text = run_report.bounded(story, LONGEST, "the log of the task report")
        context.registry.describe(plan.run_id, text)
    return story
