"""The moves of the champion as a person reads them."""

from hypothesis import given
from hypothesis import strategies as st

from include.records.moves import Move, MoveKind
from include.reports.move_table import rows
from include.text.showable import showable_name

FIRST = Move(
    MoveKind.PROMOTION,
    "1",
    key="k",
    by="0123456789abcdef0123456789abcdef",
    reason="the first model with skill: F1 0.8812 beats the 0.1818 of calling every row positive",
    number=1,
    at="2026-11-25T17:26:18.123456+00:00",
)
BACK = Move(
    MoveKind.GIVEN_BACK, None, "k", number=2, before="1", at="2026-11-26T03:00:01.000000+00:00"
)


def test_it_reads_well_in_80_columns() -> None:
    """Number, when, what, versions and who in a row, below it why."""
    assert "\n".join(rows([FIRST, BACK], 80)) == (
        "  #  when (UTC)        what        version    by, and why\n"
        "  1  2026-11-25 17:26  promotion   none > 1   0123456789abcdef0123456789abcdef\n"
        "     the first model with skill: F1 0.8812 beats the 0.1818 of calling every row\n"
        "     positive\n"
        "  2  2026-11-26 03:00  given back  1 > none   unknown\n"
        "     no reason given"
    )


@given(by=st.text(), reason=st.text(), columns=st.integers(0, 200))
def test_no_line_is_wider_than_the_terminal(by: str, reason: str, columns: int) -> None:
    """Whoever moved it for whatever reason; nothing steers the terminal or starts a row."""
    move = Move(MoveKind.ROLL_BACK, "2", "k", by=by, reason=reason, number=999, before="1")
    lines = "\n".join(rows([move], columns)).split("\n")
    assert max(map(len, lines)) <= max(columns, 60)
    assert all(showable_name(line) == line for line in lines)
