"""What is decided on a challenger; nothing moves by it."""

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
    """Decide on a challenger; nothing moves by it."""
    decision = decide_stage.promote(scores, form, context.spec.gate, preflight_result)
    log.info("%s: %s", decision.verdict, decision.reason)
    return decision


def answered(decision: Decision, answer: Answer | None, rule: Gate) -> Decision:
    """Return a decision with what a person said to it, where the spec asks a person.

    Refused, or not asked, PROMOTE becomes HOLD.
    """
    if not rule.approval or decision.verdict is not Verdict.PROMOTE:
        return decision
    if answer is None:
        told = "held because the spec asks for an approval and nobody was asked"
    else:
        verb = "approved" if answer.approved else "refused"
        told = f"{verb} by {answer.by} at {answer.at}"
    if answer is not None and answer.approved:
        return replace(decision, reason=f"{decision.reason}; {told}")
    return replace(decision, verdict=Verdict.HOLD, reason=f"{told}, although {decision.reason}")
