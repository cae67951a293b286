"""Writes the report of a run: the files that came, the decision and its reasons.

When killed: the description of the MLflow run is written again, with the same text.
"""

import logging

from include.context.step_context import StepContext
from include.records.training import Plan
from include.reports import run_report
from include.reports.account import Account, RunSentences
from include.text.showable import LONGEST

log = logging.getLogger("ratchet")


def report(context: StepContext, account: Account, plan: Plan | None) -> RunSentences:
    """Write the report of a run to the log, and to the page of its MLflow run if there is a plan.

    Returns the sentences, from which the note of the Dag run is written, too.
    """
    story = run_report.report(account)
    for sentence in story.sentences:
        log.info("%s", sentence)
    if plan is not None:
        text = run_report.bounded_markdown(story, LONGEST, "the log of the task report")
        context.registry.runs.describe(plan.run_id, text)
    return story
