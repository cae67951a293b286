"""Encodes what a model says of rows as the body of an answer: V2 tensors or plain rows."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.bundle import Manifest
from serving.bundle.problems import problem_named
from serving.protocol.in_binary import pack
from serving.protocol.prepared import PreparedByManifest

_Value = float | str | msgspec.UnsetType


class DecodedRequest(msgspec.Struct, frozen=True):
    """A decoded request."""

    matrix: NDArray[np.float32]
    """Shape (n, features), float32, C order; NaN for missing or unknown values, else finite."""
    outputs: tuple[str, ...]
    """The outputs to send, in the order asked for."""
    id: str | None
    is_rows: bool = False
    """Whether the answer is plain rows, as the request was."""
    binary: frozenset[str] = frozenset()
    """The outputs to send as packed binary data."""
    row_ids: tuple[str | None, ...] | None = None
    """The id of each row; None where no row has one."""


class EncodedAnswer(msgspec.Struct, frozen=True):
    """The body of an answer."""

    body: bytes
    header_length: int | None = None
    """How long the JSON in front of packed outputs is: the header
    `Inference-Header-Content-Length` of the answer. None when all of it is JSON."""


class _Packed(msgspec.Struct):
    binary_data_size: int


class _Output(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Sequence[float | str] | msgspec.UnsetType = msgspec.UNSET
    parameters: _Packed | msgspec.UnsetType = msgspec.UNSET


class _TensorAnswer(msgspec.Struct, kw_only=True):
    model_name: str
    model_version: str
    id: str | msgspec.UnsetType
    outputs: list[_Output]
    parameters: msgspec.Raw


class AnswerForm:
    """The parts that all answers of a model have in common."""

    def __init__(self, manifest: Manifest) -> None:
        """`manifest` is that of the model."""
        self._name = manifest.name
        self._columns = problem_named(manifest.problem).columns(manifest)
        self._datatypes = {output.name: output.datatype for output in self._columns.outputs}
        self.parameters = self._columns.parameters
        self._parameters = msgspec.Raw(msgspec.json.encode(self.parameters))
        self.names = tuple(self._datatypes)
        """The outputs, all of which are sent unless a request names some."""
        self._row = msgspec.defstruct("Row", [(name, _Value) for name in self.names])
        self._rows = _row_answer(tuple(self.parameters))

    def outputs(
        self, request: DecodedRequest, scores: NDArray[np.float64]
    ) -> list[tuple[str, str, list[Any]]]:
        """Return name, datatype and values of each requested output, by the model's scores."""
        values = self._columns.values(scores)
        return [(name, self._datatypes[name], values[name]) for name in request.outputs]

    def tensors(
        self, version: str, request: DecodedRequest, scores: NDArray[np.float64]
    ) -> EncodedAnswer:
        """Return the answer as V2 tensors, some of them packed behind the JSON."""
        shape, tail = [len(scores)], list[bytes]()
        outputs = []
        for name, datatype, values in self.outputs(request, scores):
            if name in request.binary:
                tail.append(pack(datatype, values))
                size = _Packed(len(tail[-1]))
                outputs.append(_Output(name, shape, datatype, parameters=size))
            else:
                outputs.append(_Output(name, shape, datatype, values))
        head = msgspec.json.encode(
            _TensorAnswer(
                model_name=self._name,
                model_version=version,
                id=_if_given(request.id),
                outputs=outputs,
                parameters=self._parameters,
            )
        )
        return EncodedAnswer(b"".join((head, *tail)), len(head)) if tail else EncodedAnswer(head)

    def rows(
        self, version: str, request: DecodedRequest, scores: NDArray[np.float64]
    ) -> EncodedAnswer:
        """Return the answer as plain rows."""
        nothing: list[Any] = [msgspec.UNSET] * len(scores)
        asked = {name: values for name, _, values in self.outputs(request, scores)}
        columns, make_row = (asked.get(name, nothing) for name in self.names), self._row
        answer = self._rows(
            model_name=self._name,
            model_version=version,
            id=_if_given(request.id),
            rows=[make_row(*row) for row in zip(*columns, strict=True)],
            **self.parameters,
        )
        return EncodedAnswer(msgspec.json.encode(answer))


_FORMS = PreparedByManifest(AnswerForm)


def answer_form(manifest: Manifest) -> AnswerForm:
    """Return the answer form of the model with this manifest, computed once for each manifest."""
    return _FORMS.of(manifest)


def _row_answer(parameters: tuple[str, ...]) -> Callable[..., msgspec.Struct]:
    """Return the kind of answers in plain rows, whose parameters stand before the rows."""
    told = [("model_name", str), ("model_version", str), ("id", str | msgspec.UnsetType)]
    numbers = [(name, float) for name in parameters]
    return msgspec.defstruct("RowAnswer", [*told, *numbers, ("rows", list)], kw_only=True)


def _if_given(identity: str | None) -> str | msgspec.UnsetType:
    return msgspec.UNSET if identity is None else identity
