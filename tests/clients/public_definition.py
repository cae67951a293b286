"""Asks with stubs of the protocol's public definition; prints what came for each way to ask.

Runs in the clients' environment: `python public_definition.py JSON`, see test_clients.
"""

import json
import sys
from typing import Any

import grpc
from open_inference.grpc import protocol as v2
from open_inference.grpc.service import GRPCInferenceServiceStub

ASKED = json.loads(sys.argv[1])
KEY = (("x-api-key", ASKED["key"]),)
FIELDS = {"FP64": "fp64_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}


def tensor(name: str, datatype: str, values: list[Any], shape: list[int]) -> Any:
    """Return an input with typed contents."""
    contents = v2.InferTensorContents(**{FIELDS[datatype]: values})
    return v2.ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=shape, contents=contents
    )


def probabilities(stub: Any, model: str, inputs: list[Any], **rest: Any) -> list[float]:
    """Return the probabilities that a model answers."""
    asked = v2.ModelInferRequest(model_name=model, inputs=inputs, **rest)
    answer = stub.ModelInfer(asked, metadata=KEY)
    assert answer.parameters["threshold"].double_param == 0.5
    return list(answer.outputs[0].contents.fp64_contents)


def told(stub: Any) -> dict[str, Any]:
    """Return what the server says of itself."""
    metadata = {
        name: stub.ModelMetadata(v2.ModelMetadataRequest(name=name), metadata=KEY)
        for name in ("boxes", "plans")
    }
    return {
        "server": stub.ServerMetadata(v2.ServerMetadataRequest(), metadata=KEY).name,
        "ready": stub.ServerReady(v2.ServerReadyRequest()).ready,
        "model ready": stub.ModelReady(v2.ModelReadyRequest(name="plans"), metadata=KEY).ready,
        "matrix": list(metadata["boxes"].inputs[0].shape),
        "inputs": [one.name for one in metadata["plans"].inputs],
        "properties": dict(metadata["plans"].properties),
    }


def main() -> None:
    """Print all of it as one JSON object."""
    rows, people = ASKED["rows"], ASKED["people"]
    flat = [value for row in rows for value in row]
    of_people = [
        tensor("age", "FP64", people["age"], [3]),
        tensor("paperless", "BOOL", people["paperless"], [3]),
        tensor("plan", "BYTES", [text.encode() for text in people["plan"]], [3]),
    ]
    matrix = [tensor("x", "FP64", flat, [3, 3])]
    with grpc.insecure_channel(ASKED["grpc"]) as channel:
        stub = GRPCInferenceServiceStub(channel)
        answers = {
            "rows": probabilities(stub, "boxes", matrix),
            "rows version": probabilities(stub, "boxes", matrix, model_version="1"),
            "people": probabilities(stub, "plans", of_people),
        }
        found = {"answers": answers, "refusals": {}, "told": told(stub)}
    print(json.dumps(found))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main()
