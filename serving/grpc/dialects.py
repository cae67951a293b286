"""Messages that the definitions of the protocol, MLServer, Triton and KServe have differently.

Guarantees that a client with stubs of any of them can read what is answered, and is understood.
"""

import json
from collections.abc import Mapping
from typing import Any

from serving.grpc import inference_pb2 as v2
from serving.protocol.parameters import require_known

Parameters = Mapping[str, v2.InferParameter]
RepositoryRequest = v2.RepositoryModelLoadRequest | v2.RepositoryModelUnloadRequest

_OF_A_FEATURE = frozenset({"features", "categories", "missing", "notations", "example"})
"""What is told of inputs; the other parameters are of the model."""


def model_metadata(metadata: Mapping[str, Any]) -> v2.ModelMetadataResponse:
    """Return what REST tells of a model as a message.

    The parameters of a model have one number and two types in the definitions, so they stand with
    the tensors, where MLServer's alone has parameters: what is known of a feature with its input,
    of all of them with a matrix, of the model with the first output.
    """
    parameters = metadata["parameters"]
    answer = v2.ModelMetadataResponse(
        name=metadata["name"], versions=metadata["versions"], platform=metadata["platform"]
    )
    for tensor in metadata["inputs"]:
        _set(answer.inputs.add(**tensor).parameters, _of_input(tensor["name"], parameters))
    for tensor in metadata["outputs"]:
        answer.outputs.add(**tensor)
    _set(
        answer.outputs[0].parameters,
        {name: value for name, value in parameters.items() if name not in _OF_A_FEATURE},
    )
    return answer


def model_named_in(request: RepositoryRequest) -> str:
    """Return the model that a repository call is about.

    Raises RequestRefusedError with status 400 for parameters that cannot be honoured.
    """
    require_known(request.parameters)
    # In KServe's definition the model's name has the number of the repository's.
    return str(request.model_name or request.repository_name)


def _of_input(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of an input, which is a feature or the matrix of all of them."""
    categories, example = parameters["categories"], parameters["example"]
    if not categories:
        return {key: parameters[key] for key in ("features", "missing", "example")}
    return {
        "missing": name in parameters["missing"],
        "categories": categories.get(name),
        "example": example[parameters["features"].index(name)] if example else None,
    }


def _set(parameters: Parameters, values: Mapping[str, Any]) -> None:
    """Write values that there are: as JSON where MLServer's definition has no type for one."""
    for name, value in values.items():
        if isinstance(value, bool):
            parameters[name].bool_param = value
        elif isinstance(value, int):
            parameters[name].int64_param = value
        elif value is not None:
            is_text = isinstance(value, str)
            parameters[name].string_param = value if is_text else json.dumps(value)
