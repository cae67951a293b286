"""Where rolling back leads, from the recorded moves of the champion alias.

A promotion takes over from the champion of its time. A roll back returns to an earlier one, and
what it passed over is withdrawn: it is no longer what was in production before anything. So two
roll backs of one step go as far as one of two. A champion that is given back because it did not
serve is withdrawn in the same way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.errors import RollBackError
from include.records.moves import Move, Withdrawal, succession


@dataclass(frozen=True)
class Target:
    """Where a roll back leads."""

    champion: Move
    """The move that once made it the champion."""
    gone: tuple[str, ...] = ()
    """The versions that it would have led to, had they not been deleted; the newest first."""


def target(
    moves: Sequence[Move], steps: int, is_there: Callable[[Move], bool] = lambda _: True
) -> Target:
    """Return who was champion so many promotions before the present one.

    A version that is not there any more is passed over for the one before it. Raises RollBackError
    when there were not so many, or none of those is left.
    """
    line = succession(moves).line
    if not 1 <= steps < len(line):
        told = ", ".join(str(move.version) for move in line)
        raise RollBackError(
            f"there is no going back {steps}: the champions that lead to the present one are "
            f"{told or 'none'}, the newest last"
        )
    gone: list[str] = []
    for move in reversed(line[:-steps]):
        if is_there(move):
            return Target(move, tuple(gone))
        gone.append(str(move.version))
    raise RollBackError(
        f"there is no going back {steps}: of the champions before the present one "
        f"{', '.join(reversed(gone))} were deleted in MLflow, and no earlier one is left"
    )


def withdrawn(moves: Sequence[Move]) -> tuple[Withdrawal, ...]:
    """Return the champions that were passed over on a way back, each time they were."""
    return succession(moves).withdrawn
