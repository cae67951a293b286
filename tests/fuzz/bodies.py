"""Requests that no sane client sends, from a seed: the same seed gives the same requests."""

import json
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.serving_load import Post
from benchmarks.serving_model import NAME
from benchmarks.serving_process import HEADERS

INFER = f"/v2/models/{NAME}/infer"
_HEADER_LENGTH = "Inference-Header-Content-Length"
_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e308", "1e-400", "-0.0", "1" * 400)
_ODD: tuple[Any, ...] = (
    *(None, True, False, "", "x", "\x00", "\ud800", 0, -1, 1.5, 2**31, 2**63, 2**64, 10**30),
    *([], {}, [None], [[]], [[[]]], {"a": 1}, [1, "1"], ["\u202e"], [2**31, 2**31], [1e18]),
)
_DATATYPES = (
    "FP64",
    "FP32",
    "FP16",
    "INT64",
    "INT8",
    "UINT8",
    "UINT64",
    "BOOL",
    "BYTES",
    "",
    "fp32",
)


class Fuzzer:
    """Draws requests for a model with these features."""

    def __init__(self, features: tuple[str, ...], seed: int) -> None:
        """Start from a seed."""
        self._features = features
        self._random = random.Random(seed)
        self._kinds: tuple[Callable[[], Post], ...] = (
            *(self._noise, self._flipped, self._cut, self._odd_field, self._odd_number),
            *(self._odd_shape, self._odd_type, self._nested, self._by_name, self._rows_form),
            *(self._binary_lies, self._binary_noise, self._odd_outputs, self._large),
        )
        # What is large costs a megabyte each time: rarely.
        self._weights = [*[20] * (len(self._kinds) - 1), 1]

    def draw(self, count: int) -> Iterator[Post]:
        """Yield so many requests."""
        for _ in range(count):
            (kind,) = self._random.choices(self._kinds, self._weights)
            yield kind()

    def good(self) -> dict[str, Any]:
        """Return a request that is in order, as a JSON-able value."""
        count = self._random.choice((1, 1, 1, 2, 7))
        width = len(self._features)
        values = [round(self._random.gauss(0, 1), 4) for _ in range(count * width)]
        tensor = {"name": "features", "shape": [count, width], "datatype": "FP32", "data": values}
        return {"id": str(self._random.random()), "inputs": [tensor]}

    def _noise(self) -> Post:
        return _post(self._random.randbytes(self._random.randrange(200)))

    def _flipped(self) -> Post:
        body = bytearray(_dumped(self.good()))
        for _ in range(self._random.randint(1, 6)):
            body[self._random.randrange(len(body))] = self._random.randrange(256)
        return _post(bytes(body))

    def _cut(self) -> Post:
        body = _dumped(self.good())
        return _post(body[: self._random.randrange(len(body))])

    def _odd_field(self) -> Post:
        question = self.good()
        place = self._random.choice((question, question["inputs"][0]))
        field = self._random.choice((*place, "parameters", "outputs", "unheard_of"))
        if self._random.random() < 0.2:
            place.pop(field, None)
        else:
            place[field] = self._random.choice(_ODD)
        return _post(_dumped(question))

    def _odd_number(self) -> Post:
        question = self.good()
        data = question["inputs"][0]["data"]
        data[self._random.randrange(len(data))] = "HERE"
        odd = self._random.choice((*_NUMBERS, *(json.dumps(one) for one in _ODD)))
        return _post(_dumped(question).replace(b'"HERE"', odd.encode()))

    def _odd_shape(self) -> Post:
        question = self.good()
        sides = (0, 1, -1, 2, len(self._features), 10**6, 2**31, 2**62, 2**70, 1.5, "1", None)
        shape = [self._random.choice(sides) for _ in range(self._random.randrange(5))]
        question["inputs"][0]["shape"] = shape
        return _post(_dumped(question))

    def _odd_type(self) -> Post:
        question = self.good()
        tensor = question["inputs"][0]
        tensor["datatype"] = self._random.choice(_DATATYPES)
        whole = [self._random.choice((0, 1, 255, 256, -129, 2**53 + 1)) for _ in tensor["data"]]
        tensor["data"] = self._random.choice((whole, [str(one) for one in whole], tensor["data"]))
        return _post(_dumped(question))

    def _nested(self) -> Post:
        depth = self._random.choice((3, 50, 2000, 50_000))
        opening, closing = self._random.choice(((b"[", b"]"), (b'{"a":', b"}")))
        middle = opening * depth + b"1" + closing * (depth if self._random.random() < 0.7 else 0)
        head = b'{"inputs":[{"name":"features","shape":[1,8],"datatype":"FP32","data":'
        return _post(self._random.choice((middle, head + middle + b"}]}")))

    def _by_name(self) -> Post:
        names = [self._random.choice((*self._features, "unheard of")) for _ in self._features]
        if self._random.random() < 0.3:
            names = list(self._features)
        return _post(_dumped({"inputs": [self._column(name) for name in names]}))

    def _column(self, name: str) -> dict[str, Any]:
        count = self._random.choice((1, 1, 1, 2))
        shape = self._random.choice(([1], [1, 1], [count], [count, 2]))
        data: Any = self._random.choice(([0.5] * count, [[0.5]] * count, ["x"], [None]))
        datatype = self._random.choice(_DATATYPES[:3])
        return {"name": name, "shape": shape, "datatype": datatype, "data": data}

    def _rows_form(self) -> Post:
        row: dict[str, Any] = dict.fromkeys(self._features, 0.5)
        for _ in range(self._random.randrange(3)):
            row[self._random.choice((*self._features, "unheard of"))] = self._random.choice(_ODD)
        if self._random.random() < 0.3:
            row.pop(self._random.choice(self._features), None)
        rows = self._random.choice(([row], [row, row], row, [[row]], [list(row.values())], [], "x"))
        return _post(_dumped({"rows": rows}))

    def _binary_lies(self) -> Post:
        question = self.good()
        tensor = question["inputs"][0]
        data = struct.pack(f"<{len(tensor['data'])}f", *tensor.pop("data"))
        lie = self._random.choice((0, 1, -1, 3, 2**31, 2**63, 10**30, "4", None, [4], 1.5))
        tensor["parameters"] = {"binary_data_size": self._random.choice((len(data), lie))}
        tensor["datatype"] = self._random.choice((*_DATATYPES, "FP32", "FP32"))
        head = _dumped(question)
        sent = data[: self._random.choice((len(data), self._random.randrange(len(data))))]
        length = self._random.choice(
            (len(head), len(head), 0, -1, len(head) - 1, 10**9, 10**30, "x")
        )
        return _binary(head + sent, length)

    def _binary_noise(self) -> Post:
        question = self.good()
        tensor = question["inputs"][0]
        size = 4 * len(tensor.pop("data"))
        tensor["parameters"] = {"binary_data_size": size}
        head = _dumped(question)
        return _binary(head + self._random.randbytes(size), len(head))

    def _odd_outputs(self) -> Post:
        question = self.good()
        names = ("probability", "label", "unheard of", "", None, 1)
        count = self._random.choice((0, 1, 2, 300))
        question["outputs"] = [{"name": self._random.choice(names)} for _ in range(count)]
        question["parameters"] = self._random.choice(({"binary_data_output": True}, *_ODD))
        return _post(_dumped(question))

    def _large(self) -> Post:
        names = self._random.choice((["a" * 10**6], [f"f{n}" for n in range(20_000)]))
        return _post(_dumped({"inputs": [self._column(name) for name in names]}))


def _post(body: bytes) -> Post:
    return Post(INFER, HEADERS, body)


def _binary(body: bytes, length: object) -> Post:
    kind = {"Content-Type": "application/octet-stream", _HEADER_LENGTH: str(length)}
    return Post(INFER, HEADERS | kind, body)


def _dumped(value: object) -> bytes:
    return json.dumps(value).encode()
