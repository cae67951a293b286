"""Encodes probabilities and labels as the body of an answer: V2 tensors or plain rows."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.bundle import Manifest
from serving.protocol.in_binary import pack
from serving.protocol.prepared import PreparedByManifest
from serving.protocol.sentences import TEXT

OUTPUTS = ("probability", "label")
Label = int | str


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


class _Row(msgspec.Struct):
    probability: float | msgspec.UnsetType
    label: Label | msgspec.UnsetType


class _RowAnswer(msgspec.Struct, kw_only=True):
    model_name: str
    model_version: str
    id: str | msgspec.UnsetType
    threshold: float
    rows: list[_Row]


class AnswerForm:
    """The parts that all answers of a model have in common."""

    def __init__(self, manifest: Manifest) -> None:
        """`manifest` is that of the model."""
        self._name = manifest.name
        self._threshold = manifest.threshold
        self._parameters = msgspec.Raw(msgspec.json.encode({"threshold": manifest.threshold}))
        label_type, self._labels = label_values(manifest)
        self._datatypes = {"probability": "FP64", "label": label_type}

    def outputs(
        self, request: DecodedRequest, probability: NDArray[np.float64], label: NDArray[np.int64]
    ) -> list[tuple[str, str, list[Any]]]:
        """Return name, datatype and values of each requested output.

        `probability` and `label`, 1 where a row is positive, have shape (n,).
        """
        values: dict[str, list[Any]] = {
            "probability": probability.tolist(),
            "label": [self._labels[side] for side in label.tolist()],
        }
        return [(name, self._datatypes[name], values[name]) for name in request.outputs]

    def tensors(
        self,
        version: str,
        request: DecodedRequest,
        probability: NDArray[np.float64],
        label: NDArray[np.int64],
    ) -> EncodedAnswer:
        """Return the answer as V2 tensors, some of them packed behind the JSON."""
        shape, tail = [len(probability)], list[bytes]()
        outputs = []
        for name, datatype, values in self.outputs(request, probability, label):
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
        self,
        version: str,
        request: DecodedRequest,
        probability: NDArray[np.float64],
        label: NDArray[np.int64],
    ) -> EncodedAnswer:
        """Return the answer as plain rows."""
        nothing: list[Any] = [msgspec.UNSET] * len(probability)
        asked = {name: values for name, _, values in self.outputs(request, probability, label)}
        columns = (asked.get(name, nothing) for name in OUTPUTS)
        answer = _RowAnswer(
            model_name=self._name,
            model_version=version,
            id=_if_given(request.id),
            threshold=self._threshold,
            rows=[_Row(*row) for row in zip(*columns, strict=True)],
        )
        return EncodedAnswer(msgspec.json.encode(answer))


_FORMS = PreparedByManifest(AnswerForm)


def answer_form(manifest: Manifest) -> AnswerForm:
    """Return the answer form of the model with this manifest, computed once for each manifest."""
    return _FORMS.of(manifest)


def label_values(manifest: Manifest) -> tuple[str, tuple[Label, Label]]:
    """Return the V2 datatype of the label output and both labels as they go over the wire.

    INT64 when both labels are whole numbers written the plain way, so that "01" stays text.
    """
    negative, positive = manifest.labels
    if _is_whole(negative) and _is_whole(positive):
        return "INT64", (int(negative), int(positive))
    return TEXT, (negative, positive)


def _is_whole(label: str) -> bool:
    digits = label.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < len(str(2**63))):
        return False
    return str(int(label)) == label


def _if_given(identity: str | None) -> str | msgspec.UnsetType:
    return msgspec.UNSET if identity is None else identity
