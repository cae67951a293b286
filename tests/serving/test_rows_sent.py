"""Rows as people write them: by name or in order, and what is said of those that are not right."""

import json
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle import Layout, Manifest, encode
from serving.models.holder import LoadedVersion
from serving.protocol.codecs import decode
from serving.refusals import RequestRefusedError

WOODEN = Manifest(
    "boxes",
    "constant",
    Layout(("height", "wood", "year"), {"wood": ("ash", "oak")}, missing=("wood", "year")),
    0.5,
    ("0", "1"),
    data_version=1,
)
ODD = replace(WOODEN, layout=Layout(("a.b`c", "größe", "$[0]"), missing=("größe",)))
GOOD = {"height": 1.5, "wood": "oak", "year": None}


def _decode(rows: Any, manifest: Manifest = WOODEN) -> Any:
    return decode(json.dumps({"rows": rows}).encode(), manifest).matrix


def test_understands_names_and_order() -> None:
    """Rows by name, in any order, and rows in feature order are the same matrix."""
    expected = encode(WOODEN.layout, [(1.5, "oak", None), (2.0, "teak", 1900.0), (3, None, 1)])
    ordered: list[list[Any]] = [[1.5, "oak", None], [2.0, "teak", 1900.0], [3, None, 1]]
    named = [dict(zip(("height", "wood", "year"), row, strict=True)) for row in ordered]
    mixed = [dict(reversed(row.items())) for row in named]
    for rows in (ordered, named, mixed):
        matrix = _decode(rows)
        assert np.array_equal(matrix, expected, equal_nan=True)
        assert matrix.dtype == np.float32
        assert matrix.flags.c_contiguous


def test_understands_odd_names() -> None:
    """Names may hold whatever JSON paths are written with."""
    row = {"a.b`c": 1, "größe": None, "$[0]": 3}
    assert np.array_equal(_decode([row], ODD), [[1, np.nan, 3]], equal_nan=True)
    with pytest.raises(RequestRefusedError, match=r"row 1, feature a\.b`c: Expected `float`"):
        _decode([row, row | {"a.b`c": "1"}], ODD)


REFUSED: dict[str, tuple[Any, str]] = {
    "no rows": ([], "there is no row"),
    "null": (None, "Expected `array`, got `null`"),
    "an object": (GOOD, "Expected `array`, got `object`"),
    "no row": ([GOOD, 5], "row 1: Expected `object`, got `int`"),
    "a missing name": ([GOOD, {"height": 1, "wood": "oak"}], "row 1: there is no value for"),
    "an unknown name": ([GOOD | {"age": 1}], "row 0: there is no feature `age`"),
    "a mistyped name": (
        [GOOD | {"Hieght": 1}],
        "row 0: there is no feature `Hieght` (did you mean height?).",
    ),
    "text for a number": ([GOOD | {"height": "1"}], "row 0, feature height: Expected `float`"),
    "truth for a number": ([GOOD | {"year": True}], "row 0, feature year: Expected `float | null`"),
    "number for a text": ([GOOD, GOOD | {"wood": 1}], "row 1, feature wood: Expected `str | null`"),
    "null for a number": (
        [GOOD | {"height": None}],
        "feature height: Expected `float`, got `null`",
    ),
    "too large": ([GOOD, GOOD | {"year": 1e39}], "row 1, feature year: 1e+39 is not a number"),
    "nested": ([GOOD | {"year": [1]}], "row 0, feature year: Expected `float | null`"),
    "short": ([[1, "oak"]], "row 0: Expected `array` of at least length 3, got 2"),
    "long": ([[1, "oak", 2, 3]], "a row has more values than 3"),
    "wrong in order": ([[1, "oak", 2], ["1", "oak", 2]], "row 1, feature height: Expected `float`"),
    "mixed": ([GOOD, [1, "oak", 2]], "row 1: Expected `object`, got `array`"),
}


@pytest.mark.parametrize(("rows", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(rows: Any, says: str) -> None:
    """What is wrong is named with its row and its feature, and what was expected with it."""
    with pytest.raises(RequestRefusedError) as refused:
        _decode(rows)
    assert refused.value.status == 400
    assert says in str(refused.value)
    assert "objects with the features height, wood, year" in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("copies", [1, 5_000])
def test_a_feature_that_stands_twice_is_refused(copies: int) -> None:
    """With its row, in few rows and in many; a text that looks like a key is none."""
    good = '{"height": 1, "wood": "a:oak, \\"wood\\": 2", "year": 3}'
    rows = [good] * copies
    body = f'{{"rows": [{", ".join(rows)}]}}'
    assert len(decode(body.encode(), WOODEN).matrix) == copies
    twice = good.replace('"year"', '"he\\u0069ght": 2, "year"')
    body = f'{{"rows": [{", ".join([*rows, twice])}]}}'
    with pytest.raises(RequestRefusedError, match=f"row {copies}: feature height stands twice"):
        decode(body.encode(), WOODEN)


def test_either_rows_or_inputs() -> None:
    """A body with both forms is refused as one with neither is."""
    for body, amount in ((b'{"rows": [], "inputs": []}', "both"), (b"{}", "neither")):
        with pytest.raises(RequestRefusedError, match=f"has {amount} of `inputs` and `rows`"):
            decode(body, WOODEN)


@pytest.mark.asyncio
async def test_the_answer_is_as_plain(client: httpx.AsyncClient, boxes: LoadedVersion) -> None:
    """Rows are answered with a row each; the id comes back, and the outputs are those chosen."""
    url = f"/v2/models/{boxes.name}/infer"
    rows = [{"height": 1, "width": 2, "depth": 3}] * 2
    answer = await client.post(url, json={"rows": rows})
    told = {"model_name": boxes.name, "model_version": "3", "threshold": 0.4}
    assert answer.json() == told | {"rows": [{"probability": 0.7, "label": 1}] * 2}
    asked = {"rows": rows, "id": "r-1", "outputs": [{"name": "label"}]}
    answer = await client.post(url, json=asked)
    assert answer.json() == told | {"id": "r-1", "rows": [{"label": 1}] * 2}


VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["oak", ""])
NAMES = st.sampled_from(["height", "wood", "year", "age"])
ROWS = st.lists(
    st.dictionaries(NAMES, VALUES)
    | st.fixed_dictionaries({"height": st.floats(), "wood": VALUES, "year": VALUES})
    | st.lists(VALUES, max_size=4)
    | VALUES,
    max_size=4,
)


@given(rows=ROWS | VALUES)
def test_any_rows_give_a_matrix_or_a_refusal(rows: Any) -> None:
    """Whatever stands in the rows, a model gets numbers or the caller a 400."""
    status, matrix = 200, np.zeros((1, 3), np.float32)
    try:
        matrix = _decode(rows)
    except RequestRefusedError as refused:
        status = refused.status
    assert status in {200, 400}
    assert matrix.shape == (len(matrix), 3)
    assert np.isfinite(matrix[:, 0]).all()
    assert not np.isinf(matrix).any()
