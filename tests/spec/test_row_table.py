"""What becomes of a row, as a table: each cell as it may come, and the verdict on it."""

import io
from typing import Any

import pytest

from include.errors import FileRefusedError
from include.spec.contract import Column, ColumnKind, Contract
from include.spec.model_spec import Spec
from include.stages.ingest import TypedPart, ingest, require_mostly_good
from serving.values.spelling import SPELLING


def part(content: str | bytes, contract: Contract | None = None, **data: Any) -> TypedPart:
    """Ingest a file that is one part, a first one unless there is a contract."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    fields = {"name": "s", "model": "m", "title": "", "families": (family,)}
    text = content if isinstance(content, bytes) else content.encode()
    columns = text.splitlines()[0].decode().split(",")
    stated = {"target": "y", "categorical": ("c",) if "c" in columns else ()}
    spec = Spec.model_validate(fields | {"data": stated | data})
    (only,) = ingest(io.BytesIO(text), "x.csv", spec, contract).parts
    return only


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1.0),
        ("1.0", 1.0),
        ("1e0", 1.0),
        ("+1", 1.0),
        ("1.", 1.0),
        (" 1\t", 1.0),
        ('"1"', 1.0),
        ("-.5", -0.5),
        ("3.4E38", 3.4e38),
        ("-0.0", 0.0),
    ],
)
def test_a_cell_that_is_a_number(cell: str, value: float) -> None:
    """Numbers are read in every spelling that means one number."""
    assert part(f"a,y\n{cell},1\n").frame["a"].to_list() == [value]


@pytest.mark.parametrize(
    "cell",
    [
        *("", " ", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "NaT", "<NA>"),
        *("na", "n/a", "#NA", "#N/A", "#N/A N/A", "Null", "none", "nil", r"\N"),
        *("?", " ? ", "-", "--", "\u2013", "\u2014", "."),
    ],
)
def test_a_number_that_is_missing(cell: str) -> None:
    """It is null in a first file, unless the spec says that it must be there."""
    text = f"a,y\n{cell},1\n"
    assert part(text).frame["a"].to_list() == [None]
    assert [row.reason for row in part(text, required=("a",)).refused] == ["missing value"]


@pytest.mark.parametrize(
    ("cell", "category"), [("x", "x"), (" x ", "x"), ("1.0", "1"), ("NA", "NA"), ("", None)]
)
def test_a_cell_that_is_a_category(cell: str, category: str | None) -> None:
    """It is the text in its one form, without spaces around; only nothing is missing."""
    assert part(f"c,y\n{cell},1\n", missing=("c",)).frame["c"].to_list() == [category]


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (b",k,0", "a", "missing value"),
        (b"  ,k,0", "a", "missing value"),
        (b"nan,k,0", "a", "missing value"),
        (b"1, ,0", "c", "missing value"),
        (b"unknown,k,0", "a", "not a number"),
        (b"1_000,k,0", "a", "a number in another notation"),
        (b"0x10,k,0", "a", "a number in another notation"),
        (b'"1,5",k,0', "a", "a number in another notation"),
        (b"1\0,k,0", "a", "a number in another notation"),
        (b"-nan,k,0", "a", "not a finite number"),
        (b"inf,k,0", "a", "not a finite number"),
        (b"-Infinity,k,0", "a", "not a finite number"),
        (b"1e400,k,0", "a", "not a finite number"),
        (b"3.5e38,k,0", "a", "not a finite number"),
        (b"10.5,k,0", "a", "out of the accepted range"),
        (b"1,k,", "y", "unknown label"),
        (b"1,k,2", "y", "unknown label"),
        (b"1,k,0.5", "y", "unknown label"),
        (b"1,k,nan", "y", "unknown label"),
        (b"x,k,2", "y", "unknown label"),
        (b"1", "", "wrong number of fields"),
        (b"1,k,0,", "", "wrong number of fields"),
        (b"1,5,k,0", "", "wrong number of fields"),
        (b"\xe9,k,0", "", "bytes that are not UTF-8"),
    ],
)
def test_a_row_that_is_refused(row: bytes, column: str, reason: str) -> None:
    """The first problem names the row; the row itself is kept, and its neighbour is not harmed."""
    columns = (Column("a", ColumnKind.NUMBER, accepted=(-10, 10)), Column("c", ColumnKind.CATEGORY))
    held = Contract(1, "", "y", 1, 0, None, 0.2, "s", columns, SPELLING)
    result = part(b"a,c,y\n" + row + b"\n7,k,1\n", held)
    (refused,) = result.refused
    assert (refused.line, refused.column, refused.reason) == (2, column, reason)
    assert refused.raw == row.decode(errors="backslashreplace")
    assert result.frame.rows() == [(3, 7.0, "k", 1)]


@pytest.mark.parametrize(
    ("labels", "cell", "label"),
    [
        ((1, 0), "1", 1),
        ((1, 0), "0", 0),
        ((1, 0), "1.0", 1),
        ((1, 0), " 0 ", 0),
        ((1, 0), "1e0", 1),
        ((1, 0), "-0", 0),
        ((1, -1), "-1", 0),
        ((1, -1), "-1.0", 0),
        (("yes", "no"), "yes ", 1),
        (("yes", "no"), "no", 0),
        ((1, 0), "true", 1),
        ((True, False), "TRUE", 1),
        ((True, False), "no", 0),
        (("True", "False"), "false", 0),
        (("a", ["b", "c"]), "c", 0),
        (("a", "*"), "whatever", 0),
    ],
)
def test_a_label_that_is_known(labels: tuple[Any, Any], cell: str, label: int) -> None:
    """A number as a number, a truth in any case, another one as text; a list is any of it."""
    result = part(f"a,y\n1,{cell}\n", positive=labels[0], negative=labels[1])
    assert result.frame["label"].to_list() == [label]


@pytest.mark.parametrize(
    ("bad", "good", "share", "refused"),
    [(0, 2, 0.0, False), (1, 99, 0.0, True), (1, 1, 0.5, False), (2, 1, 0.5, True)],
)
def test_how_many_bad_rows_a_file_may_have(
    bad: int, good: int, share: float, *, refused: bool
) -> None:
    """The share of the spec is still allowed; more than it refuses the file."""
    numbers = "".join(f"{number},1\n" for number in range(good))
    result = part("a,y\n" + "inf,1\n" * bad + numbers)
    assert (result.bad_lines, result.lines) == (bad, bad + good)
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    fields = {"name": "s", "model": "m", "title": "", "families": (family,)}
    data = Spec.model_validate(fields | {"data": {"target": "y", "max_refused_share": share}}).data
    if refused:
        with pytest.raises(FileRefusedError, match=f"{bad} of {bad + good} lines are in bad rows"):
            require_mostly_good(result.bad_lines, result.lines, data)
    else:
        require_mostly_good(result.bad_lines, result.lines, data)
