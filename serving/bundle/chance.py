"""Random states of a model file: a state that stands outside its own numbers is refused."""

from typing import Any

import numpy as np
from numpy.random import MT19937, PCG64, Generator, RandomState

from serving.bundle.part_checks import imported, is_array, is_int, is_shape
from serving.bundle.refused_bundle import require


def seed_sequence(cls: Any, checksum: Any, state: Any) -> Any:
    """Return a seed whose state follows."""
    require(cls == "numpy.random.bit_generator.SeedSequence" and state is None, "an odd seed")
    require(type(checksum) is int, "an odd seed")
    rebuild = imported("numpy.random.bit_generator.__pyx_unpickle_SeedSequence")
    return rebuild(np.random.SeedSequence, checksum, None)


def finish_seed_sequence(seeds: Any, state: Any) -> Any:
    """Return a seed whose pool is as large as it says."""
    require(type(state) is tuple and len(state) == 5, "an odd seed")  # noqa: PLR2004
    entropy, spawned, pool, size, key = state
    whole = {int, np.uint64, np.int64, type(None)}
    require(type(entropy) in whole and is_int(spawned), "an odd seed")
    require(is_array(pool, 1, "u") and pool.dtype == np.uint32 and size == len(pool), "odd seed")
    require(is_int(size, 4, 1024) and is_shape(key), "an odd seed")
    seeds.__setstate__(state)
    return seeds


_BITS = {"numpy.random._mt19937.MT19937": MT19937, "numpy.random._pcg64.PCG64": PCG64}


def bit_generator(kind: Any) -> Any:
    """Return a source of random bits of one of the two kinds that models keep."""
    require(type(kind) is str and kind in _BITS, "chance of an unknown kind")
    return _BITS[kind]()


def finish_bit_generator(bits: Any, state: Any) -> Any:
    """Return a source of random bits that stands within its own state."""
    require(type(state) is tuple and len(state) == 2, "an odd random state")  # noqa: PLR2004
    _require_bits(bits, state[0])
    require(type(state[1]) in {np.random.SeedSequence, type(None)}, "an odd seed")
    bits.__setstate__(state)
    return bits


def _require_bits(bits: Any, state: Any) -> None:
    require(type(state) is dict and type(state.get("state")) is dict, "an odd random state")
    require(state.get("bit_generator") == type(bits).__name__, "a random state of another kind")
    inner = state["state"]
    if type(bits) is MT19937:
        key = inner.get("key")
        require(is_array(key, 1, "u") and key.dtype == np.uint32 and len(key) == 624, "odd key")  # noqa: PLR2004
        require(is_int(inner.get("pos"), 0, 624), "a random state stands nowhere")
    else:
        parts = [inner.get("state"), inner.get("inc"), state.get("has_uint32")]
        require(all(type(one) is int for one in parts), "an odd random state")


def random_state(bits: Any) -> RandomState:
    """Return the random state of an older kind, whose own state follows."""
    require(type(bits) is MT19937, "an odd random state")
    return RandomState(bits)


def finish_random_state(chance: RandomState, state: Any) -> RandomState:
    """Return a random state that stands within its own numbers."""
    require(type(state) is dict and type(state.get("has_gauss")) is int, "an odd random state")
    require(type(state.get("gauss")) is float, "an odd random state")
    _require_bits(MT19937(), state)
    chance.set_state(state)
    return chance


def generator(bits: Any) -> Generator:
    """Return the random state of the newer kind."""
    require(type(bits) in {MT19937, PCG64}, "an odd random state")
    return Generator(bits)
