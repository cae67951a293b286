"""Asks over REST as users of `tritonclient.http` do; prints what came for each way to ask.

Runs in the clients' environment: `python triton_http.py JSON`, see test_clients.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

ASKED = json.loads(sys.argv[1])
PLACE = ASKED["url"].removeprefix("http://")
ROWS = np.array(ASKED["rows"])
PEOPLE = {
    "age": np.array(ASKED["people"]["age"], np.float64),
    "paperless": np.array(ASKED["people"]["paperless"], np.bool_),
    "plan": np.array(ASKED["people"]["plan"], np.object_),
}


def key() -> dict[str, str]:
    """Return headers with the key; each request has its own, for the client adds to them."""
    return {"X-API-Key": ASKED["key"]}


def inputs(columns: dict[str, Any], *, binary: bool = True) -> list[Any]:
    """Return an input for each array, by name."""
    made = []
    for name, values in columns.items():
        one = triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
        made.append(one.set_data_from_numpy(values, binary_data=binary))
    return made


def matrix(dtype: str = "float64", *, binary: bool = True) -> list[Any]:
    """Return the rows as one input."""
    return inputs({"features": ROWS.astype(dtype)}, binary=binary)


def outputs(*, binary: bool) -> list[Any]:
    """Return both outputs, packed or not."""
    names = ("probability", "label")
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


def in_shared_memory(what: Any) -> Any:
    """Return an input or output that is to stand in shared memory."""
    what.set_shared_memory("region", 64)
    return what


def refused(call: Callable[[], Any]) -> str:
    """Return the status and the sentence with which a call is refused."""
    try:
        answer = call()
    except InferenceServerException as error:
        return f"{error.status()} {error.message()}"
    return f"answered: {answer}"


def answers(client: Any) -> dict[str, list[float]]:
    """Return the probabilities of each way to ask."""

    def infer(model: str, sent: list[Any], **rest: Any) -> list[float]:
        answer = client.infer(model, sent, headers=key(), **rest)
        values: list[float] = answer.as_numpy("probability").tolist()
        return values

    packing = ("gzip", "deflate")
    return {
        **{f"rows {dtype}": infer("boxes", matrix(dtype)) for dtype in ("float64", "float32")},
        "rows plain": infer("boxes", matrix(binary=False), outputs=outputs(binary=False)),
        "rows mixed": infer("boxes", matrix(), outputs=outputs(binary=False)),
        "rows version": infer("boxes", matrix(), model_version="1", request_id="r-1"),
        "rows hints": infer("boxes", matrix(), priority=1, timeout=1000, parameters={"a": 1}),
        **{
            f"rows {way} {binary}": infer(
                "boxes",
                matrix(binary=binary),
                request_compression_algorithm=way,
                response_compression_algorithm=way,
            )
            for way in packing
            for binary in (True, False)
        },
        "rows async": client.async_infer("boxes", matrix(), headers=key())
        .get_result()
        .as_numpy("probability")
        .tolist(),
        "people": infer("plans", inputs(PEOPLE)),
        "people plain": infer("plans", inputs(PEOPLE, binary=False)),
        "people gzip": infer("plans", inputs(PEOPLE), request_compression_algorithm="gzip"),
    }


def refusals(client: Any) -> dict[str, str]:
    """Return how each thing is refused that the server does not do."""
    infer = client.infer
    shared_input = in_shared_memory(matrix()[0])
    shared_output = in_shared_memory(outputs(binary=True)[0])
    classes = triton.InferRequestedOutput("label", class_count=2)
    load = client.load_model
    return {
        "shared input": refused(lambda: infer("boxes", [shared_input], headers=key())),
        "shared output": refused(
            lambda: infer("boxes", matrix(), outputs=[shared_output], headers=key())
        ),
        "classes": refused(lambda: infer("boxes", matrix(), outputs=[classes], headers=key())),
        "sequence": refused(lambda: infer("boxes", matrix(), sequence_id=7, headers=key())),
        "config": refused(lambda: client.get_model_config("boxes", headers=key())),
        "statistics": refused(lambda: client.get_inference_statistics("boxes", headers=key())),
        "load config": refused(lambda: load("boxes", config="{}", headers=key())),
        "load files": refused(
            lambda: load("boxes", config="{}", files={"file:1/m": b"1"}, headers=key())
        ),
        "memory": refused(lambda: client.get_system_shared_memory_status(headers=key())),
        "no key": refused(lambda: client.infer("boxes", matrix())),
    }


def told(client: Any) -> dict[str, Any]:
    """Return what the server says of itself."""
    client.load_model("boxes", headers=key())
    index = client.get_model_repository_index(headers=key())
    metadata = client.get_model_metadata("plans", headers=key())
    told = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model ready": client.is_model_ready("plans", headers=key()),
        "server": client.get_server_metadata(headers=key())["name"],
        "inputs": [one["name"] for one in metadata["inputs"]],
        "index": sorted(one["name"] for one in index if one["state"] == "READY"),
    }
    client.unload_model("boxes", unload_dependents=True, headers=key())
    told["unloaded"] = client.is_model_ready("boxes", headers=key())
    client.load_model("boxes", headers=key())
    return told


async def at_once() -> list[float]:
    """Return what the client of asyncio gets."""
    async with triton_aio.InferenceServerClient(PLACE) as client:
        answer = await client.infer("boxes", matrix(), headers=key())
    values: list[float] = answer.as_numpy("probability").tolist()
    return values


def main() -> None:
    """Print all of it as one JSON object."""
    with triton.InferenceServerClient(PLACE) as client:
        came = answers(client) | {"rows aio": asyncio.run(at_once())}
        found = {"answers": came, "refusals": refusals(client), "told": told(client)}
    print(json.dumps(found))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main()
