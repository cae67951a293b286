"""Bitmaps with a bit for each byte of a text: a pass over them costs an eighth or less.

Bit i of a text is in word i >> 6 (uint64), the lowest bit first. One word more than the text needs
follows.
"""

import numpy as np
from numpy.typing import NDArray

from include.store.units import KIB

Bytes = NDArray[np.uint8]
"""uint8, shape (bytes,)."""
Bits = NDArray[np.uint64]
"""uint64, shape (bytes // 64 + 2,)."""
Places = NDArray[np.int64]
"""int64, shape (n,): positions in a text."""

_WINDOW = 256 * KIB
"""Bytes that are compared and packed at a time, so that they stay in the processor's cache."""
_NEAR = 16
"""Words in which a bit is looked for first."""
_WORD = 64
_ALL = (1 << _WORD) - 1


def equal(data: Bytes, value: int) -> Bits:
    """Return a bit for each byte, set where the byte has this value."""
    packed = np.zeros((len(data) // _WORD + 2) * 8, np.uint8)
    for start in range(0, len(data), _WINDOW):
        piece = np.packbits(data[start : start + _WINDOW] == value, bitorder="little")
        packed[start >> 3 : (start >> 3) + len(piece)] = piece
    return packed.view("<u8")


def following(bits: Bits) -> Bits:
    """Return bits set where the next bit is set in `bits`."""
    shifted = bits >> np.uint64(1)
    shifted[:-1] |= bits[1:] << np.uint64(63)
    return shifted


def preceding(bits: Bits) -> Bits:
    """Return bits set where the previous bit is set in `bits`."""
    shifted = bits << np.uint64(1)
    shifted[1:] |= bits[:-1] >> np.uint64(63)
    return shifted


def odd_so_far(bits: Bits) -> Bits:
    """Return bits set where the number of bits set up to there, inclusive, is odd.

    Applied to quotes, it marks what is inside them, opening quotes included. The parity of a word
    is the xor of itself shifted by 1, 2, 4 ... 32; the parity of all words before it flips a whole
    word. Example, the lowest bit last: 0b01010 becomes 0b00110.
    """
    odd = bits.copy()
    for shift in (1, 2, 4, 8, 16, 32):
        odd ^= odd << np.uint64(shift)
    carried = np.bitwise_xor.accumulate(odd >> np.uint64(63))
    odd[1:] ^= np.uint64(0) - carried[:-1]
    return odd


def places(bits: Bits, stop: int) -> Places:
    """Return the positions of set bits before `stop`, ascending."""
    # Few words have any bit set, so only those are unpacked.
    words = np.flatnonzero(bits)
    set_bits = np.flatnonzero(
        np.unpackbits(bits[words].view(np.uint8), bitorder="little").view("?")
    )
    every: Places = words[set_bits >> 6] * _WORD + (set_bits & 63)
    return every[: np.searchsorted(every, stop)]


def counts_before(bits: Bits, stops: Places) -> Places:
    """Return how many bits are set before each of these positions, int64 of the same shape."""
    total = np.concatenate([[0], np.cumsum(np.bitwise_count(bits), dtype=np.int64)])
    words, rest = stops >> 6, (stops & 63).astype(np.uint64)
    below = bits[words] & ((np.uint64(1) << rest) - np.uint64(1))
    return np.asarray(total[words] + np.bitwise_count(below), np.int64)


def count_between(bits: Bits, start: int, stop: int) -> int:
    """Return how many bits are set from `start` up to `stop`, exclusive."""
    first = start >> 6
    words = bits[first : (stop >> 6) + 1].copy()
    words[0] &= np.uint64(_ALL << (start & 63) & _ALL)
    words[-1] &= np.uint64((1 << (stop & 63)) - 1)
    return int(np.bitwise_count(words).sum())


def is_set(bits: Bits, place: int) -> bool:
    """Say whether a bit is set."""
    return bool(int(bits[place >> 6]) >> (place & 63) & 1)


def assign(bits: Bits, start: int, stop: int, *, value: bool) -> None:
    """Set or clear the bits from `start` up to `stop`, exclusive, in place."""
    first, last = start >> 6, stop >> 6
    masks = {first: _ALL, last: _ALL}
    masks[first] &= _ALL << (start & 63)
    masks[last] &= (1 << (stop & 63)) - 1
    for word in {first, last}:
        mask = np.uint64(masks[word] & _ALL)
        bits[word] = bits[word] | mask if value else bits[word] & ~mask
    bits[first + 1 : last] = np.uint64(_ALL if value else 0)


def turn(bits: Bits, start: int) -> None:
    """Flip every bit from `start` on, in place."""
    word = start >> 6
    bits[word] ^= np.uint64(_ALL << (start & 63) & _ALL)
    np.bitwise_not(bits[word + 1 :], out=bits[word + 1 :])


def first_place(words: Bits, start: int) -> int | None:
    """Return the position of the first set bit of `words`, which begin at word `start`, or None."""
    hits = np.flatnonzero(words)
    if not len(hits):
        return None
    word = int(words[hits[0]])
    return (start + int(hits[0])) * _WORD + (word & -word).bit_length() - 1


def last_place(bits: Bits, without: Bits, stop: int) -> int | None:
    """Return the last position before `stop` set in `bits` and not in `without`, None for none."""
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
