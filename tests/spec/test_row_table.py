"""What becomes of a row, as a table: each cell as it may come, and the verdict on it."""

import pytest

from include.errors import FileRefusedError
from include.spec import Data
from include.stages.ingest import ingest

DATA = Data(target="y", max_refused_share=1)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1.0),
        ("1.0", 1.0),
        ("1e0", 1.0),
        ("+1", 1.0),
        ("1.", 1.0),
        (" 1\t", 1.0),
        ("-.5", -0.5),
        ("3.4E38", 3.4e38),
        ("-0.0", 0.0),
    ],
)
def test_a_cell_that_is_a_number(cell: str, value: float) -> None:
    """Numbers are read in every spelling that means one number."""
    result = ingest(["a,y\n", f"{cell},1\n"], DATA, None)
    assert result.frame["a"].to_list() == [value]


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (",0", "a", "missing value"),
        ("  ,0", "a", "missing value"),
        ("n/a,0", "a", "not a number"),
        ("null,0", "a", "not a number"),
        ("1_000,0", "a", "not a number"),
        ("0x10,0", "a", "not a number"),
        ('"1,5",0', "a", "not a number"),
        ("1\0,0", "a", "not a number"),
        ("nan,0", "a", "not a finite number"),
        ("inf,0", "a", "not a finite number"),
        ("-Infinity,0", "a", "not a finite number"),
        ("1e400,0", "a", "not a finite number"),
        ("3.5e38,0", "a", "not a finite number"),
        ("1,", "y", "unknown label"),
        ("1,2", "y", "unknown label"),
        ("1,0.5", "y", "unknown label"),
        ("1,true", "y", "unknown label"),
        ("1,nan", "y", "unknown label"),
        ("x,2", "y", "unknown label"),
        ("1", "", "wrong number of fields"),
        ("1,0,", "", "wrong number of fields"),
        ("1,5,0", "", "wrong number of fields"),
        ("\udce9,0", "", "bytes that are not UTF-8"),
    ],
)
def test_a_row_that_is_refused(row: str, column: str, reason: str) -> None:
    """The first problem names the row; the row itself is kept, and its neighbour is not harmed."""
    result = ingest(["a,y\n", f"{row}\n", "7,1\n"], DATA, None)
    (refused,) = result.refused
    assert (refused.line, refused.column, refused.reason) == (2, column, reason)
    assert refused.raw == row.replace("\udce9", r"\xe9")
    assert result.frame["a"].to_list() == [7.0]


@pytest.mark.parametrize(
    ("cell", "label"), [("1", 1), ("0", 0), ("1.0", 1), (" 0 ", 0), ("1e0", 1), ("-0", 0)]
)
def test_a_label_that_is_known(cell: str, label: int) -> None:
    """A whole-number label is read as a number."""
    result = ingest(["a,y\n", f"1,{cell}\n"], DATA, None)
    assert result.frame["label"].to_list() == [label]


@pytest.mark.parametrize(
    ("bad", "good", "share", "refused"),
    [(0, 2, 0.0, False), (1, 99, 0.0, True), (1, 1, 0.5, False), (2, 1, 0.5, True)],
)
def test_how_many_bad_rows_a_file_may_have(
    bad: int, good: int, share: float, *, refused: bool
) -> None:
    """The share of the spec is still allowed; more than it refuses the file."""
    lines = ["a,y\n", *["x,1\n"] * bad, *[f"{number},1\n" for number in range(good)]]
    data = Data(target="y", max_refused_share=share)
    if refused:
        with pytest.raises(FileRefusedError, match=f"{bad} of {bad + good} lines are in bad rows"):
            ingest(lines, data, None)
    else:
        result = ingest(lines, data, None)
        assert (len(result.refused), result.frame.height) == (bad, good)
