"""A real gRPC server and a real channel: every call, and every way for one to fail."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import aio

from serving.grpc import generate
from serving.grpc import inference_pb2 as v2
from serving.grpc.calls import SERVICES
from serving.models.holder import Holder, LoadedVersion
from tests.serving.grpc_asked import ROWS, Ask, Shelf, question, raw_question


def test_the_generated_module_is_the_definitions(tmp_path: Path) -> None:
    """Generating again from the definition, with the pinned tools, gives what is in use."""
    assert generate.generate(tmp_path) == 0
    for name in ("inference_pb2.py", "inference_pb2.pyi"):
        generated = tmp_path / generate.HERE.relative_to(generate.ROOT) / name
        assert generated.read_text() == (generate.HERE / name).read_text()


@pytest.mark.asyncio
async def test_says_what_it_is_and_holds(ask: Ask, boxes: LoadedVersion) -> None:
    """Health, readiness and metadata are those of REST."""
    assert (await ask("ServerLive")).live
    assert (await ask("ServerReady")).ready
    assert (await ask("ModelReady", v2.ModelReadyRequest(name="boxes", version="3"))).ready
    assert list((await ask("ServerMetadata")).extensions) == ["binary_tensor_data"]
    told = await ask("ModelMetadata", v2.ModelMetadataRequest(name="boxes"))
    assert list(told.versions) == [boxes.version]
    assert [(tensor.name, list(tensor.shape)) for tensor in told.inputs] == [("features", [-1, 3])]
    assert told.outputs[0].parameters["threshold"].string_param == "0.4"
    assert told.outputs[0].parameters["data_version"].int64_param == 7
    features = told.inputs[0].parameters["features"].string_param
    assert json.loads(features) == ["height", "width", "depth"]


TYPED = {
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "INT8": "int_contents",
    "INT64": "int64_contents",
    "UINT16": "uint_contents",
    "UINT64": "uint64_contents",
    "BOOL": "bool_contents",
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("datatype", "field"), TYPED.items())
async def test_typed_is_answered_typed(ask: Ask, datatype: str, field: str) -> None:
    """Contents of every type are read, and the answer's stand in the fields of their types."""
    answer = await ask("ModelInfer", question(datatype, field, id="r-1"))
    assert (answer.model_name, answer.model_version, answer.id) == ("boxes", "3", "r-1")
    assert answer.parameters["threshold"].double_param == 0.4
    probability, label = answer.outputs
    assert (probability.name, probability.datatype, list(probability.shape)) == (
        "probability",
        "FP64",
        [2],
    )
    assert list(probability.contents.fp64_contents) == [0.7, 0.7]
    assert list(label.contents.int64_contents) == [1, 1]
    assert not answer.raw_output_contents


@pytest.mark.asyncio
async def test_raw_is_answered_raw(ask: Ask) -> None:
    """Raw contents are read and answered with raw contents, the chosen outputs only."""
    asked = raw_question(np.array(ROWS, "<f8").tobytes())
    asked.outputs.add(name="label")
    answer = await ask("ModelInfer", asked)
    assert [output.name for output in answer.outputs] == ["label"]
    assert np.frombuffer(answer.raw_output_contents[0], "<i8").tolist() == [1, 1]


def _changed(change: Callable[[Any], Any]) -> Any:
    asked = question()
    change(asked)
    return asked


REFUSED = {
    "no message": (b"\xff\xff", "the bytes are no ModelInferRequest"),
    "no inputs": (v2.ModelInferRequest(model_name="boxes"), "no inputs"),
    "no contents": (_changed(lambda q: q.inputs[0].ClearField("contents")), "0 values came"),
    "another field": (question("FP32", "fp64_contents"), "`fp64_contents` came where FP32"),
    "half typed": (question("FP16"), "raw_input_contents"),
    "beyond its type": (
        _changed(lambda q: q.inputs[0].contents.fp32_contents.__setitem__(4, np.inf)),
        "row 1, feature width: inf",
    ),
    "NaN": (
        _changed(lambda q: q.inputs[0].contents.fp32_contents.__setitem__(2, np.nan)),
        "row 0: feature depth is NaN",
    ),
    "negative shape": (_changed(lambda q: q.inputs[0].shape.__setitem__(0, -2)), "shape [-2, 3]"),
    "a hundred dimensions": (
        _changed(lambda q: q.inputs[0].shape.extend([1] * 100)),
        "shape [2, 3, 1, 1, 1, 1, 1, 1]",
    ),
    "short": (raw_question(b"12345678" * 5), "40 bytes came where shape [2, 3] of FP64 needs 48"),
    "both": (_changed(lambda q: q.raw_input_contents.append(b"1")), "`contents` beside"),
    "another number of pieces": (
        _changed(lambda q: q.raw_input_contents.extend([b"1", b"2"])),
        "1 inputs came with 2",
    ),
    "unknown output": (question(outputs=[{"name": "odds"}]), "no output odds"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("question", "says"), REFUSED.values(), ids=REFUSED.keys())
async def test_refuses(ask: Ask, question: Any, says: str) -> None:
    """What cannot be scored is INVALID_ARGUMENT with the sentence that REST would give."""
    with pytest.raises(aio.AioRpcError) as refused:
        await ask("ModelInfer", question)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert says in (refused.value.details() or "")


@pytest.mark.asyncio
async def test_absence_has_a_status(ask: Ask, holder: Holder) -> None:
    """An unknown model is NOT_FOUND; one that is not loaded yet is UNAVAILABLE, and not ready."""
    holder.follow({"crates": "1"})
    with pytest.raises(aio.AioRpcError) as unknown:
        await ask("ModelReady", v2.ModelReadyRequest(name="nobody"))
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(aio.AioRpcError) as coming:
        await ask("ModelInfer", v2.ModelInferRequest(model_name="crates"))
    assert coming.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "version 1 of crates is being loaded" in (coming.value.details() or "")
    assert not (await ask("ModelReady", v2.ModelReadyRequest(name="crates"))).ready


@pytest.mark.asyncio
@pytest.mark.parametrize("service", SERVICES)
async def test_the_repository_is_asked(ask: Ask, shelf: Shelf, service: str) -> None:
    """Index, load and unload reach the repository, at the protocol's place and at MLServer's."""
    everything = await ask("RepositoryIndex", service=service)
    assert [(model.name, model.state) for model in everything.models] == [
        ("boxes", "READY"),
        ("crates", "UNAVAILABLE"),
    ]
    only = await ask("RepositoryIndex", v2.RepositoryIndexRequest(ready=True), service=service)
    assert [model.name for model in only.models] == ["boxes"]
    load = v2.RepositoryModelLoadRequest(model_name="boxes")
    assert (await ask("RepositoryModelLoad", load, service=service)).isLoaded
    unload = v2.RepositoryModelUnloadRequest(model_name="boxes")
    unload.parameters["unload_dependents"].bool_param = True
    assert (await ask("RepositoryModelUnload", unload, service=service)).isUnloaded
    assert shelf.asked == ["load boxes", "unload boxes"]
    with pytest.raises(aio.AioRpcError, match="there is no model"):
        await ask("RepositoryModelLoad", v2.RepositoryModelLoadRequest(model_name="nobody"))
