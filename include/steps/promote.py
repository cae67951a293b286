"""Moves the champion alias to a challenger that earned it, and records the decision.

Every move is an entry of the registry's log, with the run or the person that asked and the reason.
Whoever asks again, as after a kill, finds the entry and moves nothing.
"""

import logging

from include.context.step_context import StepContext
from include.errors import (
    ChampionMovedError,
)
from include.records.judging import Decision, Preflight, Scores, Verdict
from include.records.models import ModelVersion
from include.records.moves import Answer, Move, MoveKind
from include.records.training import Form, Plan
from include.reports import decision_page
from include.reports.move_log import log_move
from include.steps.decide import answered, decide
from include.steps.score import score

log = logging.getLogger("ratchet")


JUDGEMENTS = 5
"""How often a challenger is judged when the champion keeps moving."""


def promote(  # noqa: PLR0913, PLR0917 - a step takes what its task is handed
    context: StepContext,
    plan: Plan,
    challenger: ModelVersion,
    scores: Scores,
    form: Form,
    answer: Answer | None = None,
    preflight_result: Preflight | None = None,
) -> Decision:
    """Decide, move the champion alias if the challenger earned it, and record the decision.

    A champion that was promoted meanwhile is judged against in its turn, a few times over. But an
    approval holds for what was shown: there ChampionMovedError asks for another look. `answer` is
    a person's, where the spec asks for one; `preflight_result` is what the endpoint did with the
    challenger, None where it was not asked, as by a command. Whatever the verdict, the servers let
    it go.
    """
    context.registry.require_run(
        plan.run_id
    )  # before anything moves that could not be written down
    for _ in range(JUDGEMENTS):
        decided = decide(context, scores, form, preflight_result)
        decision = answered(decided, answer, context.spec.gate)
        if decision.verdict is not Verdict.PROMOTE:
            break
        try:
            make_champion(context, plan, challenger, decision)
            break
        except ChampionMovedError as moved:
            if context.spec.gate.approval:
                raise
            log.warning("%s: judging again", moved)
            scores = score(context, plan, challenger)
    else:
        raise ChampionMovedError(f"the champion moved {JUDGEMENTS} times while it was judged")
    drawn = context.registry.figures(plan.run_id)
    came = context.registry.batches(plan.run_id)
    context.registry.log_page(
        plan.run_id, decision_page.render(context.spec.title, decision, drawn, came)
    )
    context.registry.log_decision(plan.run_id, challenger, decision)
    context.registry.take_down(challenger)
    return decision


def make_champion(
    context: StepContext, plan: Plan, challenger: ModelVersion, decision: Decision
) -> Move:
    """Move the champion alias to a challenger, or raise ChampionMovedError."""
    against = _judged_against(decision.scores)
    key = f"version {challenger.version} over {against} on data {plan.dataset.version}"
    wanted = Move(
        MoveKind.PROMOTION,
        challenger.version,
        key,
        by=plan.run_id,
        reason=decision.reason,
        made_in=challenger.run_id,
    )
    return log_move(context.spec.model, context.registry.move(wanted, against))


def _judged_against(scores: Scores) -> str | None:
    return scores.champion.model_version if scores.champion else scores.unfit_champion
