"""Asks over gRPC as users of `tritonclient.grpc` do; prints what came for each way to ask.

Runs in the clients' environment: `python triton_grpc.py JSON`, see test_clients.
"""

import asyncio
import json
import queue
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

ASKED = json.loads(sys.argv[1])
HEADERS = {"x-api-key": ASKED["key"]}
ROWS = np.array(ASKED["rows"])
PEOPLE = {
    "age": np.array(ASKED["people"]["age"], np.float64),
    "paperless": np.array(ASKED["people"]["paperless"], np.bool_),
    "plan": np.array(ASKED["people"]["plan"], np.object_),
}


def inputs(columns: dict[str, Any]) -> list[Any]:
    """Return an input for each array, by name."""
    made = []
    for name, values in columns.items():
        one = triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
        made.append(one.set_data_from_numpy(values))
    return made


def matrix(dtype: str = "float64") -> list[Any]:
    """Return the rows as one input."""
    return inputs({"features": ROWS.astype(dtype)})


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
        answer = client.infer(model, sent, headers=HEADERS, **rest)
        values: list[float] = answer.as_numpy("probability").tolist()
        return values

    outputs = [triton.InferRequestedOutput(name) for name in ("label", "probability")]
    later: queue.Queue[Any] = queue.Queue()

    def settled(result: Any, error: Any) -> None:
        later.put(error or result.as_numpy("probability").tolist())

    client.async_infer("boxes", matrix(), settled, headers=HEADERS)
    return {
        **{f"rows {dtype}": infer("boxes", matrix(dtype)) for dtype in ("float64", "float32")},
        "rows outputs": infer("boxes", matrix(), outputs=outputs, request_id="r-1"),
        "rows version": infer("boxes", matrix(), model_version="1"),
        "rows hints": infer("boxes", matrix(), priority=1, timeout=1000, parameters={"a": 1.5}),
        **{
            f"rows {way}": infer("boxes", matrix(), compression_algorithm=way)
            for way in ("gzip", "deflate")
        },
        "rows async": later.get(timeout=60),
        "people": infer("plans", inputs(PEOPLE)),
        "people gzip": infer("plans", inputs(PEOPLE), compression_algorithm="gzip"),
    }


def streamed(client: Any) -> str:
    """Return how a stream of requests is refused."""
    came: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: came.put(error or result), headers=HEADERS)
    with suppress(InferenceServerException):  # when the refusal was quicker
        client.async_stream_infer("boxes", matrix())
    error = came.get(timeout=60)
    client.stop_stream()
    return f"{error.status()} {error.message()}"


def refusals(client: Any) -> dict[str, str]:
    """Return how each thing is refused that the server does not do."""
    infer = client.infer
    shared_input = in_shared_memory(matrix()[0])
    shared_output = in_shared_memory(triton.InferRequestedOutput("label"))
    classes = triton.InferRequestedOutput("label", class_count=2)
    load = client.load_model
    return {
        "shared input": refused(lambda: infer("boxes", [shared_input], headers=HEADERS)),
        "shared output": refused(
            lambda: infer("boxes", matrix(), outputs=[shared_output], headers=HEADERS)
        ),
        "classes": refused(lambda: infer("boxes", matrix(), outputs=[classes], headers=HEADERS)),
        "sequence": refused(lambda: infer("boxes", matrix(), sequence_id="7", headers=HEADERS)),
        "config": refused(lambda: client.get_model_config("boxes", headers=HEADERS)),
        "statistics": refused(lambda: client.get_inference_statistics("boxes", headers=HEADERS)),
        "load config": refused(lambda: load("boxes", config="{}", headers=HEADERS)),
        "load files": refused(
            lambda: load("boxes", config="{}", files={"file:1/m": b"1"}, headers=HEADERS)
        ),
        "memory": refused(lambda: client.get_system_shared_memory_status(headers=HEADERS)),
        "no key": refused(lambda: client.infer("boxes", matrix())),
        "stream": streamed(client),
    }


def told(client: Any) -> dict[str, Any]:
    """Return what the server says of itself."""
    client.load_model("boxes", headers=HEADERS)
    index = client.get_model_repository_index(headers=HEADERS).models
    metadata = client.get_model_metadata("plans", headers=HEADERS)
    told = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model ready": client.is_model_ready("plans", headers=HEADERS),
        "server": client.get_server_metadata(headers=HEADERS).name,
        "inputs": [one.name for one in metadata.inputs],
        "index": sorted(one.name for one in index if one.state == "READY"),
    }
    client.unload_model("boxes", unload_dependents=True, headers=HEADERS)
    told["unloaded"] = client.is_model_ready("boxes", headers=HEADERS)
    client.load_model("boxes", headers=HEADERS)
    return told


async def at_once() -> list[float]:
    """Return what the client of asyncio gets."""
    async with triton_aio.InferenceServerClient(ASKED["grpc"]) as client:
        answer = await client.infer("boxes", matrix(), headers=HEADERS)
    values: list[float] = answer.as_numpy("probability").tolist()
    return values


def main() -> None:
    """Print all of it as one JSON object."""
    with triton.InferenceServerClient(ASKED["grpc"]) as client:
        came = answers(client) | {"rows aio": asyncio.run(at_once())}
        found = {"answers": came, "refusals": refusals(client), "told": told(client)}
    print(json.dumps(found))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main()
