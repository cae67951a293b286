"""Pickles that no pickler writes, from a seed: the same seed gives the same pickles."""

import pickle
import random
import struct
from collections.abc import Callable, Iterator, Sequence

Name = tuple[str, str]
_BEYOND: tuple[Name, ...] = (
    ("os", "system"),
    ("builtins", "eval"),
    ("builtins", "getattr"),
    ("functools", "partial"),
    ("copyreg", "_reconstructor"),
    ("sklearn.metrics._scorer", "_Scorer"),
    ("sklearn.preprocessing._data", "StandardScaler.fit"),
    ("serving.bundle.trust", "open_model"),
)
_WORDS = (
    *("func", "__class__", "__dict__", "fit", "predict_proba", "nodes", "handle", "kernel"),
    *("f8", "O8", "V16", "<", "|", "C", "_sklearn_version", "dtype", "state", "bit_generator"),
)
_PLAIN: tuple[bytes, ...] = tuple(
    getattr(pickle, name)
    for name in (
        *("NONE", "NEWTRUE", "NEWFALSE", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"),
        *("MARK", "POP", "POP_MARK", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "APPENDS"),
        *("SETITEM", "SETITEMS", "ADDITEMS", "FROZENSET", "REDUCE", "NEWOBJ", "BUILD", "MEMOIZE"),
        *("DUP", "NEWOBJ_EX", "OBJ", "BINPERSID", "NEXT_BUFFER", "STACK_GLOBAL", "STOP"),
    )
)


class PickleFuzzer:
    """Draws pickles of listed names put together anyhow, and altered pickles of real models."""

    def __init__(self, names: Sequence[Name], models: Sequence[bytes], seed: int) -> None:
        """`names` are those of the list, `models` the pickles to alter."""
        self._names, self._models = names, models
        self._random = random.Random(seed)
        self._kinds: tuple[Callable[[], bytes], ...] = (
            self._anyhow,
            self._calls,
            self._altered,
            self._spliced,
        )

    def draw(self, count: int) -> Iterator[bytes]:
        """Yield so many pickles."""
        for _ in range(count):
            yield self._random.choice(self._kinds)()

    def _anyhow(self) -> bytes:
        """Draw steps in any order."""
        steps = (self._step() for _ in range(self._random.randrange(60)))
        return b"\x80\x05" + b"".join(steps) + b"."

    def _calls(self) -> bytes:
        """Names that are called, made or built upon what stands there, and kept in the memo."""
        steps = [b"\x80\x05"]
        for _ in range(self._random.randrange(1, 8)):
            steps += [self._name(), self._tuple(), self._random.choice((b"R", b"\x81")), b"\x94"]
            if self._random.random() < 0.6:
                steps += [self._random.choice((self._state(), self._tuple())), b"b"]
            if self._random.random() < 0.3:
                steps += [b"h", bytes([self._random.randrange(8)]), self._state(), b"b"]
        return b"".join(steps) + b"."

    def _altered(self) -> bytes:
        """Change a few bytes of a model."""
        content = bytearray(self._random.choice(self._models))
        for _ in range(self._random.choice((1, 1, 2, 5))):
            content[self._random.randrange(len(content))] = self._random.randrange(256)
        return bytes(content)

    def _spliced(self) -> bytes:
        """Put steps into a model, or take some out of it."""
        content = self._random.choice(self._models)
        place = self._random.randrange(len(content))
        taken = self._random.choice((0, 0, 1, 8))
        return content[:place] + self._step() + content[place + taken :]

    def _step(self) -> bytes:
        if self._random.random() < 0.5:
            return self._random.choice(_PLAIN)
        return self._random.choice((self._name, self._value, self._get, self._length))()

    def _name(self) -> bytes:
        beyond = self._random.random() < 0.02
        module, name = self._random.choice(_BEYOND if beyond else self._names)
        return _text(module) + _text(name) + b"\x93"

    def _value(self) -> bytes:
        number = self._random.choice((0, 1, 3, 2**31 - 1, -1))
        return self._random.choice(
            (
                _text(self._random.choice(_WORDS)),
                b"J" + struct.pack("<i", number),
                b"G" + struct.pack(">d", self._random.choice((0.0, 1e308, float("nan")))),
                b"C\x08" + self._random.randbytes(8),
                b"\x96" + struct.pack("<Q", 8) + self._random.randbytes(8),
            )
        )

    def _get(self) -> bytes:
        return self._random.choice((b"h", b"q")) + bytes([self._random.randrange(12)])

    def _length(self) -> bytes:
        """Give a length that is too long for what follows."""
        size = struct.pack("<Q", self._random.choice((2**20, 2**40, 2**63)))
        kind = self._random.choice((b"\x8d", b"\x8e", b"\x95", b"\x96"))
        return kind + size + self._random.randbytes(4)

    def _tuple(self) -> bytes:
        parts = (self._value, self._value, self._name, self._get, self._state)
        count = self._random.randrange(6)
        return b"(" + b"".join(self._random.choice(parts)() for _ in range(count)) + b"t"

    def _state(self) -> bytes:
        fields = (
            _text(self._random.choice(_WORDS)) + self._random.choice((self._value, self._name))()
            for _ in range(self._random.randrange(4))
        )
        return b"}(" + b"".join(fields) + b"u"


def _text(value: str) -> bytes:
    encoded = value.encode()
    return b"\x8c" + bytes([len(encoded)]) + encoded
