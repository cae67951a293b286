"""Moving the champion: by a decision, by a person's word, and back.

Every move is an entry of the registry's log, with the run or the person that asked and the reason.
Whoever asks again, as after a kill, finds the entry and moves nothing.
"""

import logging
from dataclasses import replace

from include.context.step_context import StepContext
from include.errors import (
    AdoptionError,
    ChampionMovedError,
    GivenBackError,
    GoneError,
    RollBackError,
)
from include.records.moves import Answer, Move, MoveKind, RollBack
from include.records.records import Decision, ModelVersion, Plan, Scores, Verdict
from include.spec.model_spec import Gate
from include.stages import roll_back as roll_back_stage

log = logging.getLogger("ratchet")


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
    return _told(context, context.registry.move(wanted, against))


def roll_back(context: StepContext, asked: RollBack) -> Move:
    """Move the champion alias back as many promotions as asked, once for a key.

    Where that version was deleted, to the newest one before it that is left. Raises RollBackError
    when there were not so many or none is left, ChampionMovedError when somebody promoted in the
    same moment.
    """
    moves = context.registry.moves()
    done = next((move for move in moves if move.key == asked.key), None)
    if done is not None:
        return _told(context, done)
    target = roll_back_stage.target(moves, asked.steps, context.registry.is_there)
    to = target.champion
    if target.gone:
        log.warning(
            "%s: %s %s deleted in MLflow, so the roll back goes on to version %s",
            context.spec.model,
            f"version{'s' * (len(target.gone) > 1)} {', '.join(target.gone)}",
            "were" if len(target.gone) > 1 else "was",
            to.version,
        )
    wanted = Move(
        MoveKind.ROLL_BACK, to.version, asked.key, asked.by, asked.reason, made_in=to.made_in
    )
    return _told(context, context.registry.move(wanted, moves[-1].version))


def give_back(context: StepContext, plan: Plan, reason: str) -> None:
    """Put the champion back that the promotion of this run took over from.

    Nothing moves when the newest move is not a promotion by this run, when there was no champion
    before, or when somebody moves the alias in the same moment.
    """
    newest = next(reversed(context.registry.moves()), None)
    if newest is None or newest.kind is not MoveKind.PROMOTION or newest.by != plan.run_id:
        return
    if newest.before is None:
        log.warning("there was no champion before version %s to give back to", newest.version)
        return
    key = f"move {newest.number} given back"
    try:
        to = roll_back_stage.target(context.registry.moves(), 1, context.registry.is_there).champion
        wanted = Move(MoveKind.GIVEN_BACK, to.version, key, plan.run_id, reason, made_in=to.made_in)
        _told(context, context.registry.move(wanted, newest.version))
    except (ChampionMovedError, GoneError, RollBackError) as problem:
        log.warning("not given back: %s", problem)


def require_not_given_back(context: StepContext, plan: Plan) -> None:
    """Raise GivenBackError when the newest move is that this run gave its champion back."""
    newest = next(reversed(context.registry.moves()), None)
    if newest and newest.kind is MoveKind.GIVEN_BACK and newest.by == plan.run_id:
        raise GivenBackError(
            f"{context.spec.model} version {newest.before} did not come to serve, so version "
            f"{newest.version} is champion again: {newest.reason}"
        )


def crown(context: StepContext, adopted: ModelVersion, by: str, reason: str) -> Move:
    """Make an adopted version the champion of a spec that has none; AdoptionError when it has."""
    key = f"adoption of version {adopted.version}"
    wanted = Move(
        MoveKind.ADOPTION, adopted.version, key, by=by, reason=reason, made_in=adopted.run_id
    )
    try:
        return _told(context, context.registry.move(wanted, None))
    except ChampionMovedError as error:
        raise AdoptionError(
            f"there is a champion by now, so it has to be judged: {error}"
        ) from error


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


def _judged_against(scores: Scores) -> str | None:
    return scores.champion.model_version if scores.champion else scores.unfit_champion


def _told(context: StepContext, move: Move) -> Move:
    log.info(
        "%s: champion %s -> %s (%s, move %d)",
        context.spec.model,
        move.before,
        move.version,
        move.kind,
        move.number,
    )
    return move
