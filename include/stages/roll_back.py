"""Where rolling back leads, from the recorded moves of the champion alias.

A promotion takes over from the champion of its time. A roll back returns to an earlier one, and
what it passed over is withdrawn: it is no longer what was in production before anything. So two
roll backs of one step go as far as one of two. A champion that is given back because it did not
serve is withdrawn in the same way.
"""

from collections.abc import Sequence

from include.errors import RollBackError
from include.moves import Move, MoveKind


def target(moves: Sequence[Move], steps: int) -> str:
    """Return the version that was champion so many promotions before the present one.

    Raises RollBackError when there were not so many.
    """
    line, _ = _replay(moves)
    if not 1 <= steps < len(line):
        raise RollBackError(
            f"there is no going back {steps}: the champions that lead to the present one are "
            f"{', '.join(line) or 'none'}, the newest last"
        )
    return line[-1 - steps]


def withdrawn(moves: Sequence[Move]) -> dict[str, Move]:
    """Return the versions that were rolled back, each with the move that did it last."""
    _, passed_over = _replay(moves)
    return passed_over


def _replay(moves: Sequence[Move]) -> tuple[list[str], dict[str, Move]]:
    """Return the line of champions that leads to the present one, and what was withdrawn."""
    line: list[str] = []
    passed_over: dict[str, Move] = {}
    for move in moves:
        if move.version is None or line[-1:] == [move.version]:
            continue
        may_lead_back = move.kind.leads_back or move.kind is MoveKind.BY_HAND
        if may_lead_back and move.version in line:
            at = len(line) - line[::-1].index(move.version)
            passed_over |= dict.fromkeys(line[at:], move)
            del line[at:]
        else:
            line.append(move.version)
    return line, passed_over
