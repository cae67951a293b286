"""Any history of promotions and roll backs: back is where production truly was."""

from hypothesis import given
from hypothesis import strategies as st

from include.errors import RollBackError
from include.records.moves import Move, MoveKind
from include.stages.roll_back import roll_back_target, withdrawn

# True promotes a new version, a number goes back so many steps where there are so many.
HISTORIES = st.lists(st.one_of(st.just(value=True), st.integers(1, 4)), max_size=25)


def version(moves: list[Move], steps: int) -> str | None:
    """Return the version that so many steps back lead to."""
    return roll_back_target(moves, steps).champion.version


def happened(history: list[int | bool]) -> list[Move]:
    """Return the log that a history leaves."""
    moves: list[Move] = []
    for number, event in enumerate(history):
        if event is True:
            moves.append(Move(MoveKind.PROMOTION, str(number), key=str(number)))
            continue
        try:
            back = version(moves, event)
        except RollBackError:
            continue
        moves.append(Move(MoveKind.ROLL_BACK, back, key=str(number)))
    return moves


@given(HISTORIES)
def test_back_is_a_former_champion_that_was_not_rolled_back(history: list[int | bool]) -> None:
    """Never the present one, never one that somebody had a reason to withdraw."""
    moves = happened(history)
    passed_over = {one.champion.version for one in withdrawn(moves)}
    assert not moves or moves[-1].version not in passed_over
    for steps in range(1, 5):
        try:
            back = version(moves, steps)
        except RollBackError:
            continue
        assert back != moves[-1].version
        assert back not in passed_over
        assert any(move.version == back for move in moves[:-1])


@given(HISTORIES, st.integers(1, 3), st.integers(1, 3))
def test_two_roll_backs_go_as_far_as_one(
    history: list[int | bool], first: int, second: int
) -> None:
    """However a way back is cut into steps, it ends at the same version."""
    moves = happened(history)
    try:
        there = version(moves, first + second)
    except RollBackError:
        return
    halfway = Move(MoveKind.ROLL_BACK, version(moves, first), key="halfway")
    assert version([*moves, halfway], second) == there
