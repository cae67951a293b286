"""Opens model files that others wrote with pickle or joblib, without running code in them.

joblib writes a pickle in which arrays are stored separately: in the place of an array the pickle
has a wrapper object with shape, order and dtype, followed by the array's bytes, or by a nested
pickle for an array of objects. joblib's own reader calls whatever the pickle names. Here the pickle
is read by the restricted unpickler of bundles (`serving.bundle.trust`), which also rebuilds the
wrapper.
"""

import bz2
import lzma
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from include.errors import AdoptionError
from include.formats.packed import FREE_BYTES, MOST_EXPANDED
from include.store.units import KIB, MIB
from serving.bundle import BundleRefusedError
from serving.bundle.arrays import from_buffer
from serving.bundle.bounded_file import BoundedFile
from serving.bundle.name_list import TrustedName
from serving.bundle.part_checks import is_shape
from serving.bundle.refused_bundle import require
from serving.bundle.trust import CheckedUnpickler
from serving.bundle.trusted_parts import Rebuilder, nothing_yet

MOST_BYTES = 8 << 30
"""The largest size that a compressed file may unpack to, in bytes."""
_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_READ_FIELDS = ("subclass", "shape", "dtype", "order")
_FIELDS = {*_READ_FIELDS, "allow_mmap"}  # which is of no account: nothing is mapped here
_ALIGNMENT = "numpy_array_alignment_bytes"
_ALIGNED_BYTES = 16
_ARRAYS = {("numpy", "ndarray"), ("numpy", "memmap")}
"""Array classes that joblib stores in this form; both are rebuilt as a plain array."""
_PLAIN_ARRAY = "an array"
_PIECE_BYTES = MIB
_SIP_BYTES = 4 * KIB  # zlib makes 4 MiB of them at most
_LARGEST_DICTIONARY = 256 << 20
_MEND = (
    "save the fitted classifier alone, with joblib.dump or pickle.dump in a protocol from 3 on, "
    "the versions of requirements.txt and the classes that docs/specs.md lists under "
    '"What a spec may name"'
)


def open_model_file(path: Path) -> Any:
    """Return the classifier in a file; AdoptionError when it cannot be opened or holds none.

    No code in the file is run. Warnings of the libraries about their versions are passed on.
    """
    try:
        with path.open("rb") as file, TemporaryFile() as room:
            model = _JoblibUnpickler(BoundedFile(_plain(file, room))).load()
    except BundleRefusedError as error:
        raise AdoptionError(f"{path} is not opened: {error.problem}; {_MEND}") from error
    except OSError as error:
        raise AdoptionError(
            f"{path} cannot be read or unpacked: {error.strerror or 'it is damaged'}"
        ) from error
    except Exception as error:  # whatever a file that is no model makes of itself
        raise AdoptionError(
            f"{path} is not opened: it is no file of pickle or joblib, or a damaged one "
            f"({type(error).__name__}); {_MEND}"
        ) from error
    if not hasattr(type(model), "predict_proba"):
        raise AdoptionError(
            f"{path} holds a {type(model).__name__} and no classifier with predict_proba; {_MEND}"
        )
    return model


class _JoblibUnpickler(CheckedUnpickler):
    """The restricted unpickler of bundles, extended by joblib's array wrapper."""

    def __init__(self, file: Any) -> None:
        """See CheckedUnpickler."""
        super().__init__(file)
        self.rebuilders = {**self.rebuilders, _WRAPPER: Rebuilder(nothing_yet, self._array)}

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name in the pickle is replaced by, see CheckedUnpickler."""
        if (module, name) in {_WRAPPER, *_ARRAYS}:
            return TrustedName(module, name)
        return super().find_class(module, name)

    def _set(self, items: list[Any]) -> None:
        # Of what class an array was is the one class that stands as a value.
        super()._set([_PLAIN_ARRAY if _is_array_class(one) else one for one in items])

    def _array(self, _: None, state: Any) -> NDArray[Any]:
        """Read the array that follows a wrapper in the file."""
        require(type(state) is dict and set(state) - {_ALIGNMENT} == _FIELDS, "an odd wrapper")
        subclass, shape, dtype, order = (state[name] for name in _READ_FIELDS)
        require(type(subclass) is str and subclass == _PLAIN_ARRAY, "an array of another class")
        require(is_shape(shape) and isinstance(dtype, np.dtype), "an array has no shape or dtype")
        require(type(order) is str and order in {"C", "F"}, "an array has another order")
        if dtype.hasobject:
            return self._array_of_objects(shape, dtype)
        self._skip_padding(state.get(_ALIGNMENT))
        data = self.read(math.prod(shape) * dtype.itemsize)
        return from_buffer(bytearray(data), dtype, shape, order)

    def _skip_padding(self, alignment: Any) -> None:
        if alignment is None:  # before joblib 1.2, or written into what has no places
            return
        require(type(alignment) is int and alignment == _ALIGNED_BYTES, "an array stands oddly")
        padding = self.read(1)[0]
        require(1 <= padding <= _ALIGNED_BYTES, "an array stands oddly")
        require(self.read(padding) == b"\xff" * padding, "an array stands oddly")

    def _array_of_objects(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        # It reads on where this one stands; pickle wrote it, so it holds no wrapper.
        found = CheckedUnpickler(self).load()
        require(type(found) is np.ndarray, "an array of objects is none")
        require((found.shape, found.dtype) == (shape, dtype), "an array is of another size")
        return found  # type: ignore[no-any-return] # it was asked


def _is_array_class(value: Any) -> bool:
    return type(value) is TrustedName and (value.module, value.name) in _ARRAYS


def _plain(file: BufferedReader, room: BinaryIO) -> BinaryIO:
    """Return the file itself, or, when it is compressed, `room` with its unpacked content."""
    start = file.peek(_MAGIC_BYTES)
    for magic, name in _UNREADABLE.items():
        require(not start.startswith(magic), f"it is {name}")
    for magic, packing in _PACKINGS.items():
        if start.startswith(magic):
            for piece in _pieces(file, *packing):
                room.write(piece)
                _require_in_bounds(room.tell(), file.tell())
            room.seek(0)
            return room
    return file


def _require_in_bounds(came_out: int, went_in: int) -> None:
    bound = min(MOST_BYTES, max(FREE_BYTES, MOST_EXPANDED * went_in))
    require(came_out <= bound, f"it unpacks to more than {bound // MIB} MB, so write it unpacked")


def _pieces(
    file: BufferedReader, make: Callable[[], Any], unpack: Callable[[Any, bytes], Iterator[bytes]]
) -> Iterator[bytes]:
    """Yield unpacked pieces; a truncated file is an error, unlike in the libraries' readers."""
    unpacker = make()
    while not unpacker.eof:
        sip = file.read(_SIP_BYTES)
        require(sip, "it was cut off")
        yield from unpack(unpacker, sip)


def _at_once(unpacker: Any, sip: bytes) -> Iterator[bytes]:
    yield unpacker.decompress(sip)


def _bit_by_bit(unpacker: Any, sip: bytes) -> Iterator[bytes]:
    yield unpacker.decompress(sip, _PIECE_BYTES)
    while not unpacker.eof and not unpacker.needs_input:
        yield unpacker.decompress(b"", _PIECE_BYTES)


def _lzma() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=_LARGEST_DICTIONARY)


_PACKINGS: Mapping[bytes, tuple[Callable[[], Any], Callable[[Any, bytes], Iterator[bytes]]]] = {
    b"\x78": (zlib.decompressobj, _at_once),
    b"\x1f\x8b": (lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), _at_once),
    b"BZh": (bz2.BZ2Decompressor, _bit_by_bit),
    b"\xfd7zXZ": (_lzma, _bit_by_bit),
    b"\x5d\x00": (_lzma, _bit_by_bit),
}
_UNREADABLE = {
    b"\x04\x22\x4d\x18": "packed with lz4, so pack it otherwise",
    b"ZF": "of a joblib before 0.10",
    b"PK": "a zip archive",
}
_MAGIC_BYTES = 8
