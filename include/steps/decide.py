"""Decides whether the challenger should be promoted; changes nothing.

When killed: nothing has been written, and the same scores give the same decision again.
"""

import logging
from dataclasses import replace

from include.context.step_context import StepContext
from include.records.judging import Decision, Preflight, Scores, Verdict
from include.records.moves import Answer
from include.records.training import Form
from include.spec.model_spec import Gate
from include.stages import decide as decide_stage

log = logging.getLogger("ratchet")


def decide(
    context: StepContext, scores: Scores, form: Form, preflight_result: Preflight | None = None
) -> Decision:
    """Return the decision on a challenger, with every check that led to it.

    `preflight_result` is how the endpoint answered with the challenger, None before it was asked.
    """
    decision = decide_stage.decide(scores, form, context.spec.gate, preflight_result)
    log.info("%s: %s", decision.verdict, decision.reason)
    return decision


def with_answer(decision: Decision, answer: Answer | None, rule: Gate) -> Decision:
    """Add a person's answer to a decision, where the spec requires an approval.

    PROMOTE becomes HOLD when the person refused, or when nobody was asked.
    """
    if not rule.approval or decision.verdict is not Verdict.PROMOTE:
        return decision
    if answer is None:
        sentence = "held because the spec asks for an approval and nobody was asked"
    else:
        verb = "approved" if answer.approved else "refused"
        sentence = f"{verb} by {answer.by} at {answer.at}"
    if answer is not None and answer.approved:
        return replace(decision, reason=f"{decision.reason}; {sentence}")
    return replace(decision, verdict=Verdict.HOLD, reason=f"{sentence}, although {decision.reason}")
