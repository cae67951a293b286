"""Where rolling back leads: a move a word, P promotes, B rolls back, G gives back, H is by hand."""

import pytest

from include.errors import RollBackError
from include.records.moves import Move, MoveKind
from include.stages.roll_back import roll_back_target, withdrawn

KINDS = {"P": MoveKind.PROMOTION, "B": MoveKind.ROLL_BACK, "H": MoveKind.BY_HAND}
KINDS |= {"A": MoveKind.ADOPTION, "G": MoveKind.GIVEN_BACK}

TABLE = [
    # what happened           steps  back to  rolled back so far
    ("P1 P2", 1, "1", ""),
    ("P1 P2 P3", 1, "2", ""),
    ("P1 P2 P3", 2, "1", ""),
    ("P1 P2 P3 B2", 1, "1", "3"),  # not to 3: two single steps go as far as one double
    ("P1 P2 P3 B2 P4", 1, "2", "3"),  # 3 was in production before, but is passed over
    ("P1 P2 P3 B2 P4", 2, "1", "3"),
    ("P1 P2 P3 B1 P4", 1, "1", "2 3"),
    ("P1 P2 P3 B2 P4 B1", 0, "none", "2 3 4"),
    ("A1 P2", 1, "1", ""),  # an adopted champion is one like any other
    ("P1 P2 P3 H1 P4", 1, "1", "2 3"),  # moved back by hand is rolled back, too
    ("P1 P2 H5 P6", 1, "5", ""),  # moved by hand to what never was champion
    ("P1 P2 P3 P1", 1, "3", ""),  # judged again and promoted again
    ("P1 P2 P3 G2", 1, "1", "3"),  # given back because it did not serve
    ("P1 P2 H- H2 P3", 1, "2", ""),  # the alias was away for a while
    ("P1", 1, "none", ""),
    ("P1 P2", 2, "none", ""),
    ("P1 P2", 0, "none", ""),
    ("P1 P2", -1, "none", ""),
    ("", 1, "none", ""),
]


def happened(words: str) -> list[Move]:
    """Return the moves that a row of the table tells."""
    return [
        Move(KINDS[word[0]], None if word[1:] == "-" else word[1:], key=word)
        for word in words.split()
    ]


@pytest.mark.parametrize(("words", "steps", "version", "passed_over"), TABLE)
def test_roll_back_table(words: str, steps: int, version: str, passed_over: str) -> None:
    """Back along the promotions that still count, or a refusal that lists them."""
    moves = happened(words)
    if version == "none":
        with pytest.raises(RollBackError, match=f"no going back {steps}: the champions"):
            roll_back_target(moves, steps)
    else:
        assert roll_back_target(moves, steps).champion.version == version
    assert sorted({str(one.champion.version) for one in withdrawn(moves)}) == passed_over.split()
