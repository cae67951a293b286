"""Parameters of requests: what would change the answer is honoured, or refused by its name.

Clients send many others, hints and notes of their own, which are ignored; docs/serving.md has the
table. A parameter is not there when it has the value that stands for "no".
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from numpy.typing import NDArray

from serving.protocol.absent import NO_SHARED_MEMORY
from serving.protocol.sentences import clip
from serving.protocol.tensors import Tensor
from serving.refusals import RequestRefusedError
from serving.values.datatypes import TEXT

PLAIN_CONTENT_TYPES = ("np", "pd", "str")
"""MLServer's codecs whose tensors mean what their datatype says anyway."""
_BASE64 = "base64"
CONTENT_TYPES = (*PLAIN_CONTENT_TYPES, _BASE64)
"""What an input may have."""

_CLASSES = 'the answer has no list of classes; the output "label" is the class of each row'
_REFUSED = {
    "shared_memory_region": NO_SHARED_MEMORY,
    "classification": _CLASSES,
    "class_count": _CLASSES,
    "sequence_id": "a model keeps nothing from one request to the next; send each on its own",
}
REFUSED = tuple(_REFUSED)
_WITHOUT_EFFECT = frozenset({"unload_dependents"})  # no model depends on another
_ABSENT = frozenset({b"", b"null", b"false", b"0", b'""'})


class _Read(msgspec.Struct):
    """What the server reads of any parameters."""

    content_type: str | None = None
    shared_memory_region: msgspec.Raw = msgspec.Raw()

    def unheeded(self, content_types: Sequence[str] = PLAIN_CONTENT_TYPES) -> str | None:
        """Return why these cannot be honoured, None when they can; see `why_unheeded`."""
        refused = (name for name in REFUSED if bytes(getattr(self, name, b"")) not in _ABSENT)
        return why_unheeded(refused, self.content_type, content_types)


class InputParameters(_Read):
    """What the server reads of an input's parameters."""

    binary_data_size: int | msgspec.UnsetType = msgspec.UNSET


class OutputParameters(_Read):
    """What the server reads of an output's parameters."""

    binary_data: bool | None = None
    classification: msgspec.Raw = msgspec.Raw()
    class_count: msgspec.Raw = msgspec.Raw()


class RequestParameters(_Read):
    """What the server reads of a request's parameters."""

    binary_data_output: bool | None = None
    sequence_id: msgspec.Raw = msgspec.Raw()


def why_unheeded(
    refused: Iterable[str], content_type: str | None, content_types: Sequence[str]
) -> str | None:
    """Return why parameters cannot be honoured, None when they can; it follows whose they are.

    `refused` are those of REFUSED that are asked for, `content_types` those that may stand here.
    """
    for name in refused:
        return f"has the parameter {name}: {_REFUSED[name]}"
    if content_type is not None and content_type not in content_types:
        return (
            f"has content_type {clip(content_type)}, which cannot be honoured there; "
            f"it may be {', '.join(content_types)}, or left out"
        )
    return None


def require_known(names: Iterable[str]) -> None:
    """Refuse the parameters of a repository call that would change what it does.

    Raises RequestRefusedError with status 400.
    """
    for name in names:
        if name not in _WITHOUT_EFFECT:
            raise RequestRefusedError(
                400,
                f"the parameter {clip(name)} cannot be honoured: a model is loaded as the registry "
                "has it; register another version there to change it",
            )


def read_as(tensor: Tensor, content_type: str | None) -> Tensor:
    """Return the tensor as one of CONTENT_TYPES says that it is to be read.

    Raises RequestRefusedError with status 400 for one of text where the tensor holds none.
    """
    if content_type not in {"str", _BASE64}:
        return tensor
    if tensor.datatype != TEXT:
        raise RequestRefusedError(
            400,
            f"input {clip(tensor.name)} has content_type {content_type}, which goes with datatype "
            f"{TEXT}, and datatype {clip(tensor.datatype)}",
        )
    return Base64Tensor(tensor) if content_type == _BASE64 else tensor


@dataclass(frozen=True, slots=True)
class Base64Tensor:
    """A tensor whose texts are written as the base64 of their UTF-8."""

    coded: Tensor

    @property
    def name(self) -> str:
        """See Tensor."""
        return self.coded.name

    @property
    def shape(self) -> Sequence[int]:
        """See Tensor."""
        return self.coded.shape

    @property
    def datatype(self) -> str:
        """See Tensor."""
        return self.coded.datatype

    @property
    def absent(self) -> str:
        """See Tensor."""
        return self.coded.absent

    def numbers(self, *, may_be_missing: bool) -> NDArray[Any]:
        """Raise, for there are none: see Tensor."""
        return self.coded.numbers(may_be_missing=may_be_missing)

    def texts(self, *, may_be_missing: bool) -> list[str | None]:
        """Return the texts, flat; see Tensor."""
        coded = self.coded.texts(may_be_missing=may_be_missing)
        return [None if text is None else _plain(text, place) for place, text in enumerate(coded)]


def _plain(text: str, place: int) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"text {place} is not base64 of UTF-8") from error
