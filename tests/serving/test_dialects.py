"""Clients whose stubs come from other definitions of the protocol read what is answered."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from grpc import aio

from serving.bundle import Layout, Manifest
from serving.grpc import inference_pb2 as v2
from serving.grpc.dialects import model_metadata
from serving.grpc.messages import decode
from serving.models.holder import Holder, LoadedVersion
from serving.protocol import metadata
from serving.protocol.absent import CALLS
from tests.serving.conftest import Open
from tests.serving.grpc_asked import Ask, Shelf, question, raw_question

# The messages whose fields the definitions number alike and type differently, and no more of them.
_TENSOR = "message Tensor { string name = 1; string datatype = 2; repeated int64 shape = 3;"
_METADATA = (
    "message Metadata { string name = 1; repeated string versions = 2; string platform = 3; "
    "repeated Tensor inputs = 4; repeated Tensor outputs = 5;"
)
_PARAMETER = (
    "message Parameter { oneof choice { bool bool_param = 1; int64 int64_param = 2; "
    "string string_param = 3; } }"
)
PUBLIC = f"{_TENSOR} }} {_METADATA} map<string, string> properties = 6; }}"
MLSERVER = (
    f"{_PARAMETER} {_TENSOR} map<string, Parameter> parameters = 4; }} "
    f"{_METADATA} map<string, Parameter> parameters = 6; }}"
)
KSERVE = (
    "message Load { string model_name = 1; } "
    "message Loaded { string model_name = 1; bool isLoaded = 2; }"
)


@pytest.fixture
def dialect(tmp_path: Path) -> Any:
    """Return a function that makes the classes of a definition's messages."""

    def stubs(definition: str) -> Mapping[str, type[Message]]:
        from grpc_tools import protoc

        (tmp_path / "dialect.proto").write_text(f'syntax = "proto3"; package other; {definition}')
        packed = tmp_path / "dialect.bin"
        assert protoc.main(["", f"-I{tmp_path}", f"-o{packed}", "dialect.proto"]) == 0
        (file,) = descriptor_pb2.FileDescriptorSet.FromString(packed.read_bytes()).file
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        found = message_factory.GetMessageClassesForFiles([file.name], pool)
        return {name.removeprefix("other."): made for name, made in found.items()}

    return stubs


@pytest.fixture
def answered_metadata(holder: Holder, open_bundle: Open) -> dict[str, Any]:
    """Return what REST tells of a model with a category and a gap."""
    from sklearn.dummy import DummyClassifier

    layout = Layout(("height", "wood"), {"wood": ("ash", "oak")}, ("height",))
    model = DummyClassifier(strategy="prior").fit(np.zeros((2, 2)), [0, 1])
    held = LoadedVersion("woods", "2", open_bundle(model, layout=layout, example=((1.5, "oak"),)))
    holder.hold(held)
    return metadata.model(held, holder)


def test_the_public_definition_reads_the_metadata(
    dialect: Any, answered_metadata: dict[str, Any]
) -> None:
    """Names, versions, tensors; and its texts by name, which are parameters elsewhere, are none."""
    read: Any = dialect(PUBLIC)["Metadata"].FromString(
        model_metadata(answered_metadata).SerializeToString()
    )
    assert (read.name, list(read.versions), read.platform) == ("woods", ["2"], "ratchet_sklearn")
    assert [(one.name, one.datatype, list(one.shape)) for one in read.inputs] == [
        ("height", "FP32", [-1]),
        ("wood", "BYTES", [-1]),
    ]
    assert dict(read.properties) == {}


def test_mlservers_definition_reads_all_of_the_metadata(
    dialect: Any, answered_metadata: dict[str, Any]
) -> None:
    """What REST tells stands with the tensors, in the types that its parameters have."""
    read: Any = dialect(MLSERVER)["Metadata"].FromString(
        model_metadata(answered_metadata).SerializeToString()
    )
    assert dict(read.parameters) == {}
    height, wood = (one.parameters for one in read.inputs)
    assert _plain(height) == {"missing": True, "example": "1.5"}
    assert _plain(wood) == {"missing": False, "categories": '["ash", "oak"]', "example": "oak"}
    of_the_model = _plain(read.outputs[0].parameters)
    assert of_the_model.keys() >= {"family", "threshold", "labels", "data_version", "libraries"}
    assert json.loads(of_the_model["threshold"]) == answered_metadata["parameters"]["threshold"]
    assert of_the_model["data_version"] == answered_metadata["parameters"]["data_version"]


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of parameters; each has one in this dialect's types."""
    return {name: getattr(one, one.WhichOneof("choice")) for name, one in parameters.items()}


@pytest.mark.asyncio
async def test_kserves_definition_loads_and_unloads(dialect: Any, ask: Ask, shelf: Shelf) -> None:
    """The model's name has another number there, and the answer tells that it was done."""
    kserve = dialect(KSERVE)
    asked = kserve["Load"](model_name="boxes").SerializeToString()
    loaded = await ask("RepositoryModelLoad", asked)
    read: Any = kserve["Loaded"].FromString(loaded.SerializeToString())
    assert (read.model_name, read.isLoaded) == ("boxes", True)
    assert (await ask("RepositoryModelUnload", asked)).isUnloaded
    assert shelf.asked == ["load boxes", "unload boxes"]


@pytest.mark.asyncio
async def test_empty_contents_beside_raw_ones_are_none(ask: Ask, boxes: LoadedVersion) -> None:
    """MLServer's client sets the message without a value in it; with one it is refused."""
    del boxes
    asked = raw_question(np.ones((2, 3), "<f8").tobytes())
    asked.inputs[0].contents.SetInParent()
    assert (await ask("ModelInfer", asked)).raw_output_contents
    asked.inputs[0].contents.fp64_contents.append(1)
    with pytest.raises(aio.AioRpcError, match="`contents` beside"):
        await ask("ModelInfer", asked)


@pytest.mark.asyncio
@pytest.mark.parametrize("parameter", ["config", "file:1/model.onnx", "anything"])
async def test_a_model_is_loaded_as_the_registry_has_it(
    ask: Ask, shelf: Shelf, parameter: str
) -> None:
    """A configuration or files that come with the call are refused, and nothing is done."""
    load = v2.RepositoryModelLoadRequest(model_name="boxes")
    load.parameters[parameter].string_param = "{}"
    with pytest.raises(aio.AioRpcError) as refused:
        await ask("RepositoryModelLoad", load)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"the parameter {parameter} cannot be honoured" in (refused.value.details() or "")
    assert shelf.asked == []


@pytest.mark.asyncio
@pytest.mark.parametrize("name", CALLS)
async def test_calls_that_there_are_not_say_so(ask: Ask, name: str) -> None:
    """UNIMPLEMENTED with a sentence, before any message is read."""
    with pytest.raises(aio.AioRpcError) as refused:
        await ask(name, b"\xff")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert (refused.value.details() or "").startswith(f"{name}: ")


def test_a_parameter_of_a_type_that_is_not_known_is_ignored() -> None:
    """As are parameters without a value: another definition may have types that this has not."""
    asked = question()
    asked.parameters["sequence_id"].SetInParent()
    layout = Layout(("height", "width", "depth"))
    manifest = Manifest("boxes", "constant", layout, 0.5, ("0", "1"), data_version=1)
    assert len(decode(asked, manifest).matrix) == 2
