"""Asks with MLServer's codecs and stubs, over REST and gRPC; prints what came for each way to ask.

Runs in the clients' environment: `python mlserver_codecs.py JSON`, see test_clients.
"""

import json
import sys
import urllib.error
import urllib.request
from typing import Any

import grpc
import numpy as np
import pandas as pd
from mlserver.codecs import (
    Base64Codec,
    DatetimeCodec,
    NumpyCodec,
    NumpyRequestCodec,
    PandasCodec,
    StringCodec,
)
from mlserver.grpc import dataplane_pb2 as v2
from mlserver.grpc import model_repository_pb2 as repository
from mlserver.grpc.converters import (
    ModelInferRequestConverter,
    ModelInferResponseConverter,
    ModelMetadataResponseConverter,
)
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.grpc.model_repository_pb2_grpc import ModelRepositoryServiceStub
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    Parameters,
    RequestOutput,
)

ASKED = json.loads(sys.argv[1])
KEY = (("x-api-key", ASKED["key"]),)
ROWS = np.array(ASKED["rows"])
PEOPLE = ASKED["people"]
AGE, PAPERLESS = np.array(PEOPLE["age"]), np.array(PEOPLE["paperless"])
TEXTS = [text.encode() for text in PEOPLE["plan"]]


def frame() -> pd.DataFrame:
    """Return the people as a frame."""
    plan = pd.Series(PEOPLE["plan"], dtype=object)
    return pd.DataFrame({"age": AGE, "paperless": PAPERLESS, "plan": plan})


def people(plan: Any) -> InferenceRequest:
    """Return the people as an input a feature, with this one for the plan."""
    return InferenceRequest(
        inputs=[
            NumpyCodec.encode_input("age", AGE),
            NumpyCodec.encode_input("paperless", PAPERLESS),
            plan,
        ]
    )


def asked() -> dict[str, tuple[str, InferenceRequest]]:
    """Return a model and a request for each way to ask."""
    base64 = Base64Codec.encode_input("plan", TEXTS)
    named = InferenceRequest(inputs=[NumpyCodec.encode_input("x", ROWS)], id="r-1")
    named.outputs = [RequestOutput(name="label"), RequestOutput(name="probability")]
    return {
        "rows np": ("boxes", NumpyRequestCodec.encode_request(ROWS)),
        "rows float32": ("boxes", NumpyRequestCodec.encode_request(ROWS.astype(np.float32))),
        "rows outputs": ("boxes", named),
        "people pd": ("plans", PandasCodec.encode_request(frame(), use_bytes=True)),
        "people str": ("plans", people(StringCodec.encode_input("plan", PEOPLE["plan"]))),
        "people base64": ("plans", people(base64)),
    }


def not_honoured() -> dict[str, InferenceRequest]:
    """Return requests for the plans whose content types cannot be honoured."""
    base64_answer = people(StringCodec.encode_input("plan", PEOPLE["plan"]))
    base64_answer.outputs = [
        RequestOutput(name="label", parameters=Parameters(content_type="base64"))
    ]
    custom = people(StringCodec.encode_input("plan", PEOPLE["plan"]))
    custom.parameters = Parameters(content_type="hg_conversation")
    days = DatetimeCodec.encode_input("plan", ["2024-01-01T00:00:00"] * len(TEXTS))
    return {"datetime": people(days), "base64 answer": base64_answer, "custom": custom}


def posted(model: str, request: InferenceRequest) -> bytes:
    """Return the body of the answer to a POST, whatever its status."""
    body = request.model_dump_json(exclude_none=True).encode()
    return fetched(f"/v2/models/{model}/infer", body)


def fetched(path: str, body: bytes | None = None) -> bytes:
    """Return the body of an answer, whatever its status."""
    headers = {"X-API-Key": ASKED["key"], "Content-Type": "application/json"}
    asked = urllib.request.Request(ASKED["url"] + path, body, headers)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(asked, timeout=60) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.read()


def probabilities(response: InferenceResponse) -> list[float]:
    """Return the probabilities of an answer, as MLServer's codec reads them."""
    output = next(one for one in response.outputs if one.name == "probability")
    values: list[float] = NumpyCodec.decode_output(output).ravel().tolist()
    return values


def rest() -> dict[str, list[float]]:
    """Return what came over REST."""
    return {
        f"{name} rest": probabilities(InferenceResponse.model_validate_json(posted(*one)))
        for name, one in asked().items()
    }


def over_grpc(stub: Any, model: str, request: InferenceRequest, *, raw: bool) -> list[float]:
    """Return what came for typed or raw contents."""
    message = ModelInferRequestConverter.from_types(request, model, use_raw=raw)
    answer = ModelInferResponseConverter.to_types(stub.ModelInfer(message, metadata=KEY))
    return probabilities(answer)


def refused(stub: Any, request: InferenceRequest) -> str:
    """Return the sentence with which REST refuses, or both where gRPC has another."""
    sentence: str = json.loads(posted("plans", request)).get("error", "answered")
    try:
        over_grpc(stub, "plans", request, raw=False)
    except grpc.RpcError as error:
        same = error.details() == sentence
        return sentence if same else f"{sentence} / {error.details()}"
    return f"{sentence} / answered"


def told(channel: grpc.Channel, stub: Any) -> dict[str, Any]:
    """Return what the server says of itself, read by MLServer's types."""
    asked = v2.ModelMetadataRequest(name="plans")
    metadata = ModelMetadataResponseConverter.to_types(stub.ModelMetadata(asked, metadata=KEY))
    same = MetadataModelResponse.model_validate_json(fetched("/v2/models/plans"))
    old = ModelRepositoryServiceStub(channel)
    index = old.RepositoryIndex(repository.RepositoryIndexRequest(), metadata=KEY)
    new = stub.RepositoryIndex(v2.RepositoryIndexRequest(), metadata=KEY)
    return {
        "inputs": [one.name for one in metadata.inputs],
        "rest inputs": [one.name for one in same.inputs or ()],
        "categories": metadata.inputs[2].parameters.categories,
        "threshold": metadata.outputs[0].parameters.threshold,
        "model parameters": metadata.parameters is not None,
        "index": sorted(one.name for one in index.models),
        "same index": list(index.models) != [] and len(index.models) == len(new.models),
    }


def main() -> None:
    """Print all of it as one JSON object."""
    answers = rest()
    with grpc.insecure_channel(ASKED["grpc"]) as channel:
        stub = GRPCInferenceServiceStub(channel)
        for name, (model, request) in asked().items():
            answers[f"{name} grpc"] = over_grpc(stub, model, request, raw=False)
        for name, (model, request) in asked().items():
            answers[f"{name} raw"] = over_grpc(stub, model, request, raw=True)
        found = {
            "answers": answers,
            "refusals": {name: refused(stub, one) for name, one in not_honoured().items()},
            "told": told(channel, stub),
        }
    print(json.dumps(found))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main()
