"""Moves the champion alias back, on a person's request or when a new champion cannot be served.

When killed: a move is an entry of the log of moves, with a key. A second attempt with the same key
finds the entry and moves nothing.
"""

import logging

from include.context.step_context import StepContext
from include.errors import (
    ChampionMovedError,
    GivenBackError,
    GoneError,
    RollBackError,
)
from include.records.moves import Move, MoveKind, RollBack
from include.records.training import Plan
from include.reports.move_log import log_move
from include.stages import roll_back as roll_back_stage

log = logging.getLogger("ratchet")


def roll_back(context: StepContext, request: RollBack) -> Move:
    """Move the champion alias back by a number of promotions; a request's key moves it once.

    When the target was deleted in MLflow, the alias goes to the newest earlier champion that still
    exists. Raises RollBackError when there were fewer promotions or no such version exists,
    ChampionMovedError when somebody promoted at the same moment, NotOwnerError when the model
    belongs to another spec.
    """
    context.registry.ownership.require_owner()
    moves = context.registry.champion.moves()
    done = next((move for move in moves if move.key == request.key), None)
    if done is not None:
        return log_move(context.spec.model, done)
    target = roll_back_stage.roll_back_target(
        moves, request.steps, context.registry.versions.is_there
    )
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
        MoveKind.ROLL_BACK, to.version, request.key, request.by, request.reason, made_in=to.made_in
    )
    return log_move(context.spec.model, context.registry.champion.move(wanted, moves[-1].version))


def give_back(context: StepContext, plan: Plan, reason: str) -> None:
    """Make the champion that this run's promotion replaced the champion again.

    Nothing moves when the newest move is not a promotion by this run, when there was no champion
    before it, or when somebody moves the alias at the same moment; the last two are logged.
    """
    newest = next(reversed(context.registry.champion.moves()), None)
    if newest is None or newest.kind is not MoveKind.PROMOTION or newest.by != plan.run_id:
        return
    if newest.before is None:
        log.warning("there was no champion before version %s to give back to", newest.version)
        return
    key = f"move {newest.number} given back"
    try:
        moves, is_there = context.registry.champion.moves(), context.registry.versions.is_there
        to = roll_back_stage.roll_back_target(moves, 1, is_there).champion
        wanted = Move(MoveKind.GIVEN_BACK, to.version, key, plan.run_id, reason, made_in=to.made_in)
        log_move(context.spec.model, context.registry.champion.move(wanted, newest.version))
    except (ChampionMovedError, GoneError, RollBackError) as problem:
        log.warning("not given back: %s", problem)


def require_not_given_back(context: StepContext, plan: Plan) -> None:
    """Raise GivenBackError when this run has promoted a champion and given it back again."""
    newest = next(reversed(context.registry.champion.moves()), None)
    if newest and newest.kind is MoveKind.GIVEN_BACK and newest.by == plan.run_id:
        raise GivenBackError(
            f"{context.spec.model} version {newest.before} did not come to serve, so version "
            f"{newest.version} is champion again: {newest.reason}"
        )
