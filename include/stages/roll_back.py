"""Finds the version that a roll back leads to, from the recorded moves of the champion alias.

A promotion replaces the champion of its time. A roll back returns to an earlier champion and
withdraws those that it passes over, so that they no longer count as earlier champions: two roll
backs of one step lead as far as one of two steps. A champion that was given back because it could
not be served is withdrawn in the same way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.errors import RollBackError
from include.records.moves import Move, Withdrawal, succession


@dataclass(frozen=True)
class RollBackTarget:
    """The version that a roll back leads to."""

    champion: Move
    """The move that once made it the champion."""
    gone: tuple[str, ...] = ()
    """Versions on the way that were deleted and are therefore passed over, the newest first."""


def roll_back_target(
    moves: Sequence[Move], steps: int, is_there: Callable[[Move], bool] = lambda _: True
) -> RollBackTarget:
    """Return the champion of `steps` promotions before the present one.

    `is_there` says whether the version of a move still exists; one that does not is passed over for
    the one before it. Raises RollBackError when there were not so many promotions, or none of those
    versions is left.
    """
    line = succession(moves).line
    if not 1 <= steps < len(line):
        versions = ", ".join(str(move.version) for move in line)
        raise RollBackError(
            f"there is no going back {steps}: the champions that lead to the present one are "
            f"{versions or 'none'}, the newest last"
        )
    gone: list[str] = []
    for move in reversed(line[:-steps]):
        if is_there(move):
            return RollBackTarget(move, tuple(gone))
        gone.append(str(move.version))
    raise RollBackError(
        f"there is no going back {steps}: of the champions before the present one "
        f"{', '.join(reversed(gone))} were deleted in MLflow, and no earlier one is left"
    )


def withdrawn(moves: Sequence[Move]) -> tuple[Withdrawal, ...]:
    """Return the champions that were passed over by roll backs, once for each time."""
    return succession(moves).withdrawn
