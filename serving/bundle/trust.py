"""Opening a model file without letting it choose what runs.

A pickle names the classes and functions that rebuild it, and the unpickler calls whatever is named.
The list of what may be named stands here, with whoever opens the file; a model file cannot widen
it. The digest that is checked before still counts: this is the second lock, not the only one.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from serving.bundle.refusals import BundleRefusedError

_PACKAGES = ("sklearn.", "xgboost.", "serving.bundle.")
"""Their classes may be named, and what Cython calls to rebuild its own."""
_REBUILDERS = ("__pyx_unpickle_", "newObj")
_NAMES = frozenset(
    {
        ("builtins", "bytearray"),
        ("builtins", "complex"),
        ("builtins", "frozenset"),
        ("builtins", "object"),
        ("builtins", "range"),
        ("builtins", "set"),
        ("builtins", "slice"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("copyreg", "_reconstructor"),
        # Harmless without something harmful to call, which nobody here can name.
        ("functools", "partial"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
        ("numpy.random._pcg64", "PCG64"),
        ("numpy.random._mt19937", "MT19937"),
        ("numpy.random._pickle", "__bit_generator_ctor"),
        ("numpy.random._pickle", "__generator_ctor"),
        ("numpy.random._pickle", "__randomstate_ctor"),
        ("numpy.random.bit_generator", "SeedSequence"),
        ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
        ("scipy.interpolate._interpolate", "interp1d"),
        ("scipy.sparse._csr", "csr_matrix"),
        ("scipy.sparse._csr", "csr_array"),
        ("sklearn.utils.validation", "check_array"),
    }
)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) in _NAMES:
            return super().find_class(module, name)
        if module.startswith(_PACKAGES) or module == "numpy":
            found = super().find_class(module, name)
            if _is_part_of_a_model(found, module, name):
                return found
        raise BundleRefusedError(
            f"the model file names {module}.{name}, which is not on the list of what a model may "
            "be made of: it was not written by this pipeline, or with another version of it"
        )


def open_model(path: Path) -> Any:
    """Return the model that a file holds, or raise BundleRefusedError for what it may not name."""
    with path.open("rb") as file:
        return _Unpickler(file).load()


def _is_part_of_a_model(found: object, module: str, name: str) -> bool:
    if module == "numpy":
        return isinstance(found, np.ufunc) or (
            isinstance(found, type) and issubclass(found, np.generic)
        )
    # Where it was made, not where it was found: a module also shows what it imported.
    if not str(getattr(found, "__module__", "")).startswith(_PACKAGES):
        return False
    return isinstance(found, type) or name.startswith(_REBUILDERS)
