"""Inputs as a caller of the protocol sends them."""

from typing import Any


def tensor(data: Any, shape: list[int], name: str = "x", datatype: str = "FP64") -> dict[str, Any]:
    """Return one input tensor."""
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def by_name(shape: list[int], *columns: list[Any]) -> list[dict[str, Any]]:
    """Return an input for each feature of a box: depth, height and width, of the same shape."""
    return [
        tensor(data, shape, name)
        for name, data in zip(("depth", "height", "width"), columns, strict=True)
    ]
