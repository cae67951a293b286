"""Moves the champion alias to a challenger that has passed every check; records the decision.

When killed: every move is an entry of the registry's log of moves, with a key. A second attempt
finds the entry, moves nothing, and records the decision again.
"""

import logging

from include.context.step_context import StepContext
from include.errors import (
    ChampionMovedError,
)
from include.records.judging import (
    Decision,
    NoChampion,
    Preflight,
    Rival,
    Scores,
    UnfitChampion,
    Verdict,
)
from include.records.models import ModelVersion
from include.records.moves import Answer, Move, MoveKind
from include.records.training import Form, Plan
from include.reports import decision_page
from include.reports.move_log import log_move
from include.steps.decide import decide, with_answer
from include.steps.score import score

log = logging.getLogger("ratchet")


JUDGEMENTS = 5
"""So many times a challenger is judged at most, when the champion keeps changing meanwhile."""


def promote(  # noqa: PLR0913, PLR0917 - a step takes what its task is handed
    context: StepContext,
    plan: Plan,
    challenger: ModelVersion,
    scores: Scores,
    form: Form,
    answer: Answer | None = None,
    preflight_result: Preflight | None = None,
) -> Decision:
    """Decide, move the champion alias if the verdict is PROMOTE, and record the decision.

    When another champion was promoted meanwhile, the challenger is scored against that one, up to
    `JUDGEMENTS` times. An approval is valid only for the scores that the person saw, so with one
    ChampionMovedError is raised instead. `answer` is the person's answer, where the spec asks for
    one. `preflight_result` is the result of the pre-flight, None where there was none, as in a
    command. Whatever the verdict, the challenger's alias is removed, and the servers drop it.
    """
    # Before anything moves: without the run the move could not be written down.
    context.registry.runs.require(plan.run_id)
    for _ in range(JUDGEMENTS):
        decided = decide(context, scores, form, preflight_result)
        decision = with_answer(decided, answer, context.spec.gate)
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
    _record(context, plan, challenger, decision)
    context.registry.challenger.take_down(challenger)
    return decision


def _record(context: StepContext, plan: Plan, challenger: ModelVersion, decision: Decision) -> None:
    """Write the decision and its page to the MLflow run."""
    drawn = context.registry.runs.figures(plan.run_id)
    came = context.registry.runs.batches(plan.run_id)
    page = decision_page.render(context.spec.title, decision, drawn, came)
    context.registry.runs.log_page(plan.run_id, page)
    context.registry.decisions.log(plan.run_id, challenger, decision)


def make_champion(
    context: StepContext, plan: Plan, challenger: ModelVersion, decision: Decision
) -> Move:
    """Move the champion alias to a challenger; the same decision moves it once.

    Raises ChampionMovedError when the champion is not the one that the scores were compared with.
    """
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
    return log_move(context.spec.model, context.registry.champion.move(wanted, against))


def _judged_against(scores: Scores) -> str | None:
    match scores.opponent:
        case Rival(card):
            return card.model_version
        case UnfitChampion(version):
            return version
        case NoChampion():
            return None
