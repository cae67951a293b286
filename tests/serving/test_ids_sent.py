"""Rows that bring the id by which their sender knows them: answered as without, and logged."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from serving.app import make_app
from serving.bundle import Layout, Manifest, read_layout
from serving.models.holder import Holder, LoadedVersion
from serving.observing.request_log import AskedRows
from serving.protocol.codecs import decode
from serving.protocol.schemas import question
from serving.refusals import RequestRefusedError
from tests.serving.conftest import Open
from tests.serving.parts import server_around

LOANS = Manifest(
    "loans",
    "constant",
    Layout(("height", "wood"), {"wood": ("ash", "oak")}, missing=("wood",), id="loan_id"),
    0.5,
    ("0", "1"),
    data_version=1,
)
NUMBERS = replace(LOANS, layout=Layout(("a", "b"), id="loan:id"))
GOOD = {"height": 1.5, "wood": "oak"}


def decoded(rows: Any, manifest: Manifest = LOANS, **limits: int) -> Any:
    """Decode rows."""
    return decode(json.dumps({"rows": rows}).encode(), manifest, **limits)


def test_a_row_with_an_id_is_the_row_without_it() -> None:
    """Wherever the id stands among the features."""
    with_ids = decoded([{"loan_id": "a-1"} | GOOD, GOOD | {"loan_id": "a-2"}, GOOD])
    without = decoded([GOOD, GOOD, GOOD])
    assert np.array_equal(with_ids.matrix, without.matrix)
    assert with_ids.row_ids == ("a-1", "a-2", None)
    assert without.row_ids is None


def test_an_id_has_the_form_that_it_has_in_the_table() -> None:
    """So that both can be joined; null and an empty text are no ids."""
    ids = [7, 7.0, " 7 ", "007", True, None, ""]
    rows = [GOOD | {"loan_id": one} for one in ids]
    assert decoded(rows).row_ids == ("7", "7", "7", "007", "true", None, None)


def test_the_name_of_the_id_may_be_typed_as_any_column() -> None:
    """With spaces around it, as those of features."""
    assert decoded([GOOD | {" loan_id ": "x"}]).row_ids == ("x",)


@pytest.mark.parametrize("rows", [1, 3000])
def test_ids_that_hold_what_json_is_written_with(rows: int) -> None:
    """In few rows and in more than are read at a time."""
    sent = [{"a": 1.0, "b": number, "loan:id": f'"{{,:{number}'} for number in range(rows)]
    request = decoded(sent, NUMBERS)
    assert request.row_ids == tuple(f'"{{,:{number}' for number in range(rows))
    assert request.matrix[:, 1].tolist() == list(range(rows))


def test_the_most_rows_that_may_come_may_come_with_ids() -> None:
    """An id costs a row no other room."""
    sent = [{"a": 1.0, "b": 2.0, "loan:id": "1,2,3"} for _ in range(9_000)]
    assert decoded(sent, NUMBERS, max_rows=9_000).matrix.shape == (9_000, 2)
    with pytest.raises(RequestRefusedError, match=r"9000 rows came and at most 8999|over 8999"):
        decoded(sent, NUMBERS, max_rows=8_999)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"rows": [{"height": 1, "wood": "oak", "loan_id": 1, "loan_id": 2}]}', "stands twice"),
        ('{"rows": [{"height": 1, "loan_id": 1}]}', "there is no value for feature `wood`"),
        ('{"rows": [{"height": 1, "wood": "oak", "loan_id": [1]}]}', "row 0, feature loan_id"),
        ('{"rows": [{"height": 1, "wood": "oak", "loan": 1}]}', "there is no feature `loan`"),
        ('{"rows": [[1, "oak", "a-1"]]}', "a row has more values than 2"),
    ],
)
def test_what_is_no_row_with_an_id_is_refused(body: str, sentence: str) -> None:
    """As a row without one is; a list has the features alone."""
    with pytest.raises(RequestRefusedError, match=sentence):
        decode(body.encode(), LOANS)


def test_a_model_whose_rows_have_no_id_takes_none() -> None:
    """As before: a column that it does not know may be a mistyped feature."""
    with pytest.raises(RequestRefusedError, match="there is no feature `loan_id`"):
        decoded([GOOD | {"loan_id": 1}], replace(LOANS, layout=replace(LOANS.layout, id=None)))


def test_a_layout_is_saved_with_its_id() -> None:
    """One of an older bundle has none; the matrix is the same either way."""
    layout = LOANS.layout
    fields = json.loads(json.dumps(asdict(layout)))
    assert read_layout(fields).id == "loan_id"
    del fields["id"]
    assert read_layout(fields).id is None
    assert read_layout(fields) == layout


def test_the_schema_of_a_request_has_the_id() -> None:
    """It may be left out."""
    rows = question(LOANS)["anyOf"][0]["properties"]["rows"]["anyOf"][0]["items"]
    assert set(rows["properties"]) == {"loan_id", "height", "wood"}
    assert set(rows["required"]) == {"height", "wood"}


def test_more_ids_take_more_of_the_memory_that_the_log_may_use() -> None:
    """They are texts of any length."""
    matrix = np.zeros((2, 3), np.float32)
    assert AskedRows(matrix, ("x" * 1000, None)).size > AskedRows(matrix).size + 1000


@pytest.mark.asyncio
async def test_the_request_log_has_the_ids(
    holder: Holder, open_bundle: Open, tmp_path: Path
) -> None:
    """A column of its own, null where a row had none; a feature of that name stands beside it."""
    layout = Layout(("id", "width", "depth"), id="box")
    held = LoadedVersion("boxes", "3", open_bundle(layout=layout))
    holder.hold(held)
    server = server_around(holder, {"SERVING_REQUEST_LOG": str(tmp_path)})

    async def nothing() -> None:
        return

    row = {"id": 1.5, "width": 2.0, "depth": 3.0}
    transport = httpx.ASGITransport(app=make_app(server, nothing))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        infer = "/v2/models/boxes/infer"
        named = await client.post(infer, json={"rows": [row | {"box": "b-1"}, row]})
        plain = await client.post(infer, json={"rows": [[1.5, 2.0, 3.0]]})
    server.guard.close()
    assert named.json()["rows"] == plain.json()["rows"] * 2
    kept = pl.read_parquet(f"{tmp_path}/**/*.parquet").sort("id", nulls_last=True)
    assert kept["id"].to_list() == ["b-1", None, None]
    assert kept["feature id"].to_list() == [1.5] * 3
