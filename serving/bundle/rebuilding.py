"""What is called to rebuild a model, each with the arguments that it may be called with.

Arrays, dtypes, random states and what is compiled are not made empty and filled like other objects:
a function makes them. Some of these believe whatever they are told, and read beyond their memory
when it is wrong. So none is called as it is: what stands here and in `serving.bundle.learners`
looks at types, sizes and ranges first. Here is what every model is made of; each learner adds its
own.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from serving.bundle import arrays, chance
from serving.bundle.learners import learners
from serving.bundle.refused_bundle import quotable, require
from serving.bundle.trusted_parts import QualifiedName, Rebuilder, TrustedParts


def set_attributes(instance: Any, state: Any) -> None:
    """Give an empty instance of a listed class its attributes.

    None of them hides a method, and of what can be called only a few are attributes: a kernel, a
    loss and a type of numbers.
    """
    cls = type(instance)
    require(type(state) is dict, f"the state of a {cls.__name__} is no dictionary")
    parts = trusted_parts()
    for name, value in state.items():
        require(type(name) is str and not name.startswith("__"), "an attribute has no plain name")
        require(not callable(getattr(cls, name, None)), f"{name} would hide a method")
        if callable(value):
            require(
                name in parts.callable_attributes,
                f"{cls.__name__}.{quotable(name)} could be called",
            )
    # A version of another release is told in a warning.
    version = state.get("_sklearn_version", "")
    require(type(version) is str and version == quotable(version), "a version is no text")
    check = parts.checks.get(f"{cls.__module__}.{cls.__qualname__}")
    if check is not None:
        check(state)
    if hasattr(cls, "__setstate__"):
        instance.__setstate__(state)
    else:
        instance.__dict__.update(state)


@cache
def trusted_parts() -> TrustedParts:
    """Return the parts that every model is made of, and those of all learners."""
    every = (_SHARED, *(learner.trusted for learner in learners()))
    return TrustedParts(
        _merged(parts.rebuilders for parts in every),
        frozenset().union(*(parts.arguments for parts in every)),
        frozenset().union(*(parts.ignored for parts in every)),
        frozenset().union(*(parts.kept for parts in every)),
        _merged(parts.checks for parts in every),
        frozenset().union(*(parts.callable_attributes for parts in every)),
        frozenset().union(*(parts.mappings for parts in every)),
    )


def _merged(parts: Iterable[Mapping[Any, Any]]) -> dict[Any, Any]:
    return {key: value for part in parts for key, value in part.items()}


def _ordered() -> dict[Any, Any]:
    """Return what is filled afterwards; every dictionary keeps its order."""
    return {}


_REBUILDERS: Mapping[QualifiedName, Rebuilder] = {
    ("builtins", "bytearray"): Rebuilder(arrays.plain_bytearray),
    ("builtins", "slice"): Rebuilder(arrays.plain_slice),
    ("collections", "OrderedDict"): Rebuilder(_ordered),
    ("numpy", "dtype"): Rebuilder(arrays.dtype_kind, arrays.finish_dtype),
    ("numpy._core.multiarray", "_reconstruct"): Rebuilder(arrays.empty_array, arrays.finish_array),
    ("numpy._core.multiarray", "scalar"): Rebuilder(arrays.scalar),
    ("numpy._core.numeric", "_frombuffer"): Rebuilder(arrays.from_buffer),
    ("numpy.random._pickle", "__bit_generator_ctor"): Rebuilder(
        chance.bit_generator, chance.finish_bit_generator
    ),
    ("numpy.random._pickle", "__generator_ctor"): Rebuilder(chance.generator),
    ("numpy.random._pickle", "__randomstate_ctor"): Rebuilder(
        chance.random_state, chance.finish_random_state
    ),
    ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"): Rebuilder(
        chance.seed_sequence, chance.finish_seed_sequence
    ),
}
_SHARED = TrustedParts(
    rebuilders=_REBUILDERS,
    arguments=frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy.random._mt19937", "MT19937"),
            ("numpy.random._pcg64", "PCG64"),
            ("numpy.random.bit_generator", "SeedSequence"),
        }
    ),
    callable_attributes=frozenset({"dtype"}),
)
"""What a model of any learner is made of."""
