"""Asks with KServe's SDK, over REST and gRPC; prints what came for each way to ask.

Runs in KServe's own environment: `python kserve_sdk.py JSON`, see test_clients.
"""

import asyncio
import json
import sys
import urllib.request
from typing import Any

import grpc
import numpy as np
from kserve import (
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    InferResponse,
    RESTConfig,
)
from kserve.protocol.grpc import grpc_predict_v2_pb2 as v2
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from kserve.protocol.infer_type import RequestedOutput

ASKED = json.loads(sys.argv[1])
KEY = (("x-api-key", ASKED["key"]),)
REST = RESTConfig(protocol="v2", retries=0)
ROWS = np.array(ASKED["rows"])
PEOPLE = ASKED["people"]
COLUMNS = {
    "age": ("FP64", np.array(PEOPLE["age"])),
    "paperless": ("BOOL", np.array(PEOPLE["paperless"])),
    "plan": ("BYTES", np.array(PEOPLE["plan"], np.object_)),
}


def matrix(*, binary: bool) -> list[Any]:
    """Return the rows as one input."""
    one = InferInput("features", list(ROWS.shape), "FP64")
    one.set_data_from_numpy(ROWS, binary_data=binary)
    return [one]


def people(*, binary: bool) -> list[Any]:
    """Return the people as an input a feature."""
    made = []
    for name, (datatype, values) in COLUMNS.items():
        one = InferInput(name, list(values.shape), datatype)
        one.set_data_from_numpy(values, binary_data=binary)
        made.append(one)
    return made


def asked() -> dict[str, Any]:
    """Return a request for each way to ask."""
    outputs = [
        RequestedOutput(name, {"binary_data": binary})
        for name, binary in (("label", False), ("probability", True))
    ]
    return {
        "rows": InferRequest("boxes", matrix(binary=False)),
        "rows packed": InferRequest("boxes", matrix(binary=True), "r-1"),
        "rows outputs": InferRequest("boxes", matrix(binary=True), request_outputs=outputs),
        "people": InferRequest("plans", people(binary=False)),
        "people packed": InferRequest("plans", people(binary=True)),
    }


def posted(request: Any) -> list[float]:
    """Return the probabilities that came over REST."""
    body, length = request.to_rest()
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"X-API-Key": ASKED["key"], "Content-Type": "application/json"}
    if length is not None:
        headers["Inference-Header-Content-Length"] = str(length)
    url = f"{ASKED['url']}/v2/models/{request.model_name}/infer"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(urllib.request.Request(url, body, headers), timeout=60) as answer:
        came = answer.headers.get("Inference-Header-Content-Length")
        return probabilities(InferResponse.from_bytes(answer.read(), came and int(came)))


def probabilities(response: Any) -> list[float]:
    """Return the probabilities of an answer."""
    values: list[float] = response.get_output_by_name("probability").as_numpy().tolist()
    return values


async def by_its_clients() -> dict[str, list[float]]:
    """Return the probabilities that came through the SDK's own clients."""
    grpc_client, rest_client = InferenceGRPCClient(ASKED["grpc"]), InferenceRESTClient(REST)
    over_grpc = {
        f"{name} grpc": probabilities(await grpc_client.infer(one, headers=KEY))
        for name, one in asked().items()
    }
    over_rest = {}
    for name, one in asked().items():
        headers = {"X-API-Key": ASKED["key"]}  # of its own, for the client adds to them
        answer = await rest_client.infer(
            ASKED["url"], one, headers=headers, model_name=one.model_name
        )
        over_rest[f"{name} rest client"] = probabilities(answer)
    return over_grpc | over_rest


def told(stub: Any) -> dict[str, Any]:
    """Return what the server says of itself."""
    metadata = stub.ModelMetadata(v2.ModelMetadataRequest(name="plans"), metadata=KEY)
    load = v2.RepositoryModelLoadRequest(model_name="boxes")
    unload = v2.RepositoryModelUnloadRequest(model_name="boxes")
    unloaded = stub.RepositoryModelUnload(unload, metadata=KEY)
    loaded = stub.RepositoryModelLoad(load, metadata=KEY)
    return {
        "inputs": [one.name for one in metadata.inputs],
        "unloaded": [unloaded.model_name, unloaded.isUnloaded],
        "loaded": [loaded.model_name, loaded.isLoaded],
    }


def main() -> None:
    """Print all of it as one JSON object."""
    answers = {f"{name} rest": posted(one) for name, one in asked().items()}
    answers |= asyncio.run(by_its_clients())
    with grpc.insecure_channel(ASKED["grpc"]) as channel:
        found = {
            "answers": answers,
            "refusals": {},
            "told": told(GRPCInferenceServiceStub(channel)),
        }
    print(json.dumps(found))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main()
