"""Rows without a label are read as rows of a delivery are: the same values, the same refusals."""

import io
from collections.abc import Callable

import polars as pl
import pytest

from include.errors import FileRefusedError
from include.spec.contract import Contract
from include.spec.model_spec import Spec
from include.stages.ingest import RefusedRow, ingest, read_unlabelled

SPEC = Spec.model_validate(
    {
        "name": "bank",
        "model": "bank-model",
        "title": "Bank",
        "data": {
            "target": "y",
            "positive": "yes",
            "negative": "no",
            "max_refused_share": 1.0,
            "missing": ["job"],
        },
        "families": [{"name": "tree", "pipeline": ["sklearn.tree.DecisionTreeClassifier"]}],
    }
)
ROWS = [
    {
        "age": 20.0 + n,
        "amount": f"{n},5",
        "job": "admin" if n % 3 else None,
        "y": "yes" if n % 4 == 0 else "no",
    }
    for n in range(40)
]


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


WRITERS: dict[str, Callable[[pl.DataFrame], bytes]] = {
    "x.csv": lambda frame: frame.write_csv(separator=";").encode(),
    "x.jsonl": lambda frame: frame.write_ndjson().encode(),
    "x.parquet": _parquet,
}


@pytest.fixture(scope="module")
def contract() -> Contract:
    """Return what a first file fixes: a decimal comma in one column, gaps in another."""
    return ingest(io.BytesIO(_parquet(pl.DataFrame(ROWS))), "x.parquet", SPEC, None).contract


def unlabelled(
    content: bytes, name: str, contract: Contract
) -> tuple[pl.DataFrame, list[RefusedRow]]:
    """Return the good rows without their lines, and the refused ones."""
    parts = list(read_unlabelled(io.BytesIO(content), name, SPEC, contract).parts)
    frame = pl.concat([part.frame for part in parts]).drop("line")
    return frame, [row for part in parts for row in part.refused]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("columns", [["age", "amount", "job"], ["job", "y", "amount", "age"]])
def test_the_features_are_those_of_a_delivery(
    name: str, columns: list[str], contract: Contract
) -> None:
    """In any format and order, with the labels in the file or without."""
    labelled = ingest(io.BytesIO(_parquet(pl.DataFrame(ROWS))), "x.parquet", SPEC, contract)
    expected = pl.concat([part.frame for part in labelled.parts]).drop("line", "label")
    frame, refused = unlabelled(WRITERS[name](pl.DataFrame(ROWS).select(columns)), name, contract)
    assert frame.equals(expected)
    assert not refused


def test_labels_that_nobody_knows_do_no_harm(contract: Contract) -> None:
    """They are not read."""
    rows = pl.DataFrame(ROWS).with_columns(y=pl.lit("perhaps"))
    frame, refused = unlabelled(rows.write_csv().encode(), "x.csv", contract)
    assert (len(frame), refused) == (len(ROWS), [])


def test_a_bad_value_costs_its_row_for_the_same_reason(contract: Contract) -> None:
    """With line, column and text."""
    rows = pl.DataFrame(ROWS).select(pl.col("age").cast(pl.String), "amount", "job")
    rows[3, "age"] = "old"
    frame, refused = unlabelled(rows.write_csv(separator=";").encode(), "x.csv", contract)
    assert len(frame) == len(ROWS) - 1
    assert [(row.line, row.column, row.reason, row.cell) for row in refused] == [
        (5, "age", "not a number", "old")
    ]


def test_a_feature_that_has_to_be_there_is_asked_for(contract: Contract) -> None:
    """By its name."""
    with pytest.raises(FileRefusedError, match="feature columns are missing: amount"):
        unlabelled(b"age;job\n20;admin\n", "x.csv", contract)
