"""Requests to models with categories and missing values: what is understood, what is refused."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serving.bundle import Layout, Manifest
from serving.protocol.codecs import decode
from serving.refusals import RequestRefusedError
from tests.serving.tensors_sent import by_name, tensor


def _model(layout: Layout) -> Manifest:
    return Manifest("boxes", "constant", layout, 0.5, ("0", "1"), data_version=1)


GAPPED = _model(Layout(("height", "width", "depth"), missing=("width",)))
WOODEN = _model(Layout(("height", "wood", "year"), {"wood": ("ash", "oak")}, ("wood", "year")))
NAN = float("nan")
ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def _body(inputs: list[dict[str, Any]]) -> bytes:
    return json.dumps({"inputs": inputs}).encode()


def _wooden(**changes: Any) -> list[dict[str, Any]]:
    """Return two rows as inputs by name, some of them changed or, with None, left out."""
    inputs = {
        "height": tensor([1, 2], [2], "height"),
        "wood": tensor(["oak", "ash"], [2], "wood", "BYTES"),
        "year": tensor([1900, 1901], [2], "year", "INT32"),
    }
    return [tensor for tensor in (inputs | changes).values() if tensor is not None]


GAPS = {
    "flat": (GAPPED, [tensor([1, None, 3, 4, 5, 6], [2, 3])], [[1, NAN, 3], [4, 5, 6]]),
    "nested": (GAPPED, [tensor([[1, None, 3]], [1, 3])], [[1, NAN, 3]]),
    "integers": (GAPPED, [tensor([1, None, 3], [1, 3], datatype="INT8")], [[1, NAN, 3]]),
    "by name": (GAPPED, by_name([2], [3, 6], [1, 4], [None, 5]), [[1, NAN, 3], [4, 5, 6]]),
    "categories": (WOODEN, _wooden(), [[1, 1, 1900], [2, 0, 1901]]),
    "a column of them": (
        WOODEN,
        _wooden(wood=tensor([["oak"], ["ash"]], [2, 1], "wood", "BYTES")),
        [[1, 1, 1900], [2, 0, 1901]],
    ),
    "unknown and missing ones": (
        WOODEN,
        _wooden(
            wood=tensor(["teak", None], [2], "wood", "BYTES"),
            year=tensor([None, 1901.5], [2], "year"),
        ),
        [[1, NAN, NAN], [2, NAN, 1901.5]],
    ),
}


@pytest.mark.parametrize(("manifest", "inputs", "rows"), GAPS.values(), ids=GAPS.keys())
def test_understands_categories_and_gaps(
    manifest: Manifest, inputs: list[dict[str, Any]], rows: list[list[float]]
) -> None:
    """A category is its place in the model's list; what is missing or unknown is NaN."""
    assert np.array_equal(decode(_body(inputs), manifest).matrix, rows, equal_nan=True)


TRUTHS = replace(WOODEN, layout=replace(WOODEN.layout, categories={"wood": ("False", "True")}))
REFUSED_THERE = {
    "null where nothing is missing": (
        GAPPED,
        [tensor([1, 2, 3, 4, 5, None], [2, 3])],
        "input x, row 1: feature depth is null. Expected one input of shape [n, 3]",
    ),
    "the same by name": (GAPPED, by_name([1], [None], [1], [2]), "input depth has data"),
    "a fraction beside a null": (
        GAPPED,
        [tensor([1, None, 3.5], [1, 3], datatype="INT8")],
        "feature depth: 3.5 is no INT8",
    ),
    "a mistyped name": (
        WOODEN,
        [tensor(["oak"], [1], "Woood", "BYTES")],
        "1 unknown feature names: Woood (did you mean wood?).",
    ),
    "a matrix": (WOODEN, [tensor(ROWS, [2, 3])], "1 unknown feature names: x"),
    "a place for a category": (
        WOODEN,
        _wooden(wood=tensor([1, 0], [2], "wood", "INT8")),
        "input wood has datatype INT8 where BYTES with shape [n] is expected",
    ),
    "a fraction as a truth": (
        TRUTHS,
        _wooden(wood=tensor([0, 1.5], [2], "wood", "BOOL")),
        "row 1, feature wood: 1.5 is no BOOL",
    ),
    "a number among texts": (
        WOODEN,
        _wooden(wood=tensor(["oak", 1], [2], "wood", "BYTES")),
        "input wood has data that cannot be used: Expected `str | null`, got `int`",
    ),
    "texts for a number": (
        WOODEN,
        _wooden(height=tensor(["1", "2"], [2], "height", "BYTES")),
        "input height has datatype BYTES",
    ),
    "null for a number": (
        WOODEN,
        _wooden(height=tensor([None, 2], [2], "height")),
        "input height has data that cannot be used: Expected `float`, got `null`",
    ),
    "too few texts": (
        WOODEN,
        _wooden(wood=tensor(["oak"], [2], "wood", "BYTES")),
        "1 values came where shape [2] needs 2",
    ),
    "no category": (WOODEN, _wooden(wood=None), "1 missing features: wood"),
    "a matrix of texts": (
        WOODEN,
        _wooden(wood=tensor(["oak"] * 4, [2, 2], "wood", "BYTES")),
        "has shape [2, 2]",
    ),
}


@pytest.mark.parametrize(
    ("manifest", "inputs", "says"), REFUSED_THERE.values(), ids=REFUSED_THERE.keys()
)
def test_refuses_there(manifest: Manifest, inputs: list[dict[str, Any]], says: str) -> None:
    """Where there are categories and gaps, the sentence also says which inputs hold them."""
    with pytest.raises(RequestRefusedError) as refused:
        decode(_body(inputs), manifest)
    sentence = str(refused.value)
    assert refused.value.status == 400
    assert says in sentence
    assert ("strings for the categories of wood" in sentence) == bool(manifest.layout.categories)
    assert f"null only where a value is missing, in {manifest.layout.missing[0]}" in sentence
