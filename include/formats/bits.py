"""A bit for each byte of a text: what would be a pass over its bytes costs an eighth and less.

Bit i of a text stands in word i >> 6, the lowest first; a word more than the text needs follows.
"""

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Bits = NDArray[np.uint64]
Places = NDArray[np.int64]

_WINDOW = 1 << 18
"""In bytes: so much stays in a processor's own memory between comparing and packing."""
_NEAR = 16
"""In words: where a bit is looked for first."""
_WORD = 64
_ALL = (1 << _WORD) - 1


def equal(data: Bytes, value: int) -> Bits:
    """Return a bit for every byte, set where it is this one."""
    packed = np.zeros((len(data) // _WORD + 2) * 8, np.uint8)
    for start in range(0, len(data), _WINDOW):
        piece = np.packbits(data[start : start + _WINDOW] == value, bitorder="little")
        packed[start >> 3 : (start >> 3) + len(piece)] = piece
    return packed.view("<u8")


def following(bits: Bits) -> Bits:
    """Return bits that are set where the next one is set in these."""
    shifted = bits >> np.uint64(1)
    shifted[:-1] |= bits[1:] << np.uint64(63)
    return shifted


def preceding(bits: Bits) -> Bits:
    """Return bits that are set where the one before is set in these."""
    shifted = bits << np.uint64(1)
    shifted[1:] |= bits[:-1] >> np.uint64(63)
    return shifted


def odd_so_far(bits: Bits) -> Bits:
    """Return bits that are set where an odd number is set up to there, that one included.

    Of 0b01010 it is 0b00110.
    """
    odd = bits.copy()
    for shift in (1, 2, 4, 8, 16, 32):
        odd ^= odd << np.uint64(shift)
    carried = np.bitwise_xor.accumulate(odd >> np.uint64(63))
    odd[1:] ^= np.uint64(0) - carried[:-1]
    return odd


def places(bits: Bits, stop: int) -> Places:
    """Return where bits before `stop` are set."""
    # Mostly few words have any.
    words = np.flatnonzero(bits)
    found = np.flatnonzero(np.unpackbits(bits[words].view(np.uint8), bitorder="little").view("?"))
    every: Places = words[found >> 6] * _WORD + (found & 63)
    return every[: np.searchsorted(every, stop)]


def counts_before(bits: Bits, stops: Places) -> Places:
    """Return how many bits are set before each of these places."""
    total = np.concatenate([[0], np.cumsum(np.bitwise_count(bits), dtype=np.int64)])
    words, rest = stops >> 6, (stops & 63).astype(np.uint64)
    below = bits[words] & ((np.uint64(1) << rest) - np.uint64(1))
    return np.asarray(total[words] + np.bitwise_count(below), np.int64)


def count_between(bits: Bits, start: int, stop: int) -> int:
    """Return how many bits are set from `start` up to `stop`, which is not included."""
    first = start >> 6
    words = bits[first : (stop >> 6) + 1].copy()
    words[0] &= np.uint64(_ALL << (start & 63) & _ALL)
    words[-1] &= np.uint64((1 << (stop & 63)) - 1)
    return int(np.bitwise_count(words).sum())


def is_set(bits: Bits, place: int) -> bool:
    """Say whether a bit is set."""
    return bool(int(bits[place >> 6]) >> (place & 63) & 1)


def assign(bits: Bits, start: int, stop: int, *, value: bool) -> None:
    """Set or clear the bits from `start` up to `stop`, which is not included."""
    first, last = start >> 6, stop >> 6
    masks = {first: _ALL, last: _ALL}
    masks[first] &= _ALL << (start & 63)
    masks[last] &= (1 << (stop & 63)) - 1
    for word in {first, last}:
        mask = np.uint64(masks[word] & _ALL)
        bits[word] = bits[word] | mask if value else bits[word] & ~mask
    bits[first + 1 : last] = np.uint64(_ALL if value else 0)


def turn(bits: Bits, start: int) -> None:
    """Turn every bit from `start` on."""
    word = start >> 6
    bits[word] ^= np.uint64(_ALL << (start & 63) & _ALL)
    np.bitwise_not(bits[word + 1 :], out=bits[word + 1 :])


def first_place(words: Bits, start: int) -> int | None:
    """Return the first set bit of some words whose first one is word `start` of a text."""
    hits = np.flatnonzero(words)
    if not len(hits):
        return None
    word = int(words[hits[0]])
    return (start + int(hits[0])) * _WORD + (word & -word).bit_length() - 1


def last_place(bits: Bits, without: Bits, stop: int) -> int | None:
    """Return the last bit before `stop` that is set in `bits` and not in `without`."""
    end, step = (stop >> 6) + 1, _NEAR
    while end > 0:
        start = max(0, end - step)
        words = bits[start:end] & ~without[start:end]
        if end == (stop >> 6) + 1:
            words[-1] &= np.uint64((1 << (stop & 63)) - 1)
        hits = np.flatnonzero(words)
        if len(hits):
            return (start + int(hits[-1])) * _WORD + int(words[hits[-1]]).bit_length() - 1
        end, step = start, 4 * step
    return None
