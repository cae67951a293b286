"""Numbers that a model may see: finite, within 32-bit floats, and missing only where allowed."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.protocol.sentences import clip
from serving.values.datatypes import INTEGERS, TRUTH

_LARGEST = float(np.finfo(np.float32).max)
_WHOLE = frozenset((*INTEGERS, TRUTH))
_HALF = "FP16"
_HALF_OVERFLOWS = 65520.0
"""The smallest number that is rounded to an infinity in 16 bits; the largest there is 65504."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where numbers come from, and how they are refused."""

    refuse: Callable[[str], Exception]
    """Makes the refusal from what is wrong in which row and feature."""
    datatype: str
    absent: str
    """How a missing value is written there."""


# A NaN may come as one that signals, which is no more than a missing value either.
@np.errstate(invalid="ignore")
def usable(
    values: NDArray[Any], features: Sequence[str], optional: Container[str], origin: Origin
) -> NDArray[np.float32]:
    """Return numbers as a fresh float32 matrix of shape (n, len(features)), C order.

    `values` are flat, row after row, and not empty; NaN stands for a missing value, which only
    the `optional` features may have. Raises the refusal of the first number that 32-bit floats
    cannot hold, that is not of the datatype, or that is missing where it may not be.
    """
    blame = _Blame(features, origin)
    # Two passes settle the usual case; a NaN makes both comparisons false.
    if not (float(values.min()) >= -_LARGEST and float(values.max()) <= _LARGEST):
        # In 64 bits, because the limit itself is an infinity to 16-bit floats.
        wide = values.astype(np.float64)
        blame.number(np.abs(wide) > _LARGEST, wide, "is not a number that 32-bit floats can hold")
        blame.absence(np.isnan(wide), optional)
    require_whole(values, features, origin)
    if origin.datatype == _HALF and values.dtype != np.float16:
        # As packed ones are: what would be rounded to infinity is no number of that datatype.
        blame.number(np.abs(values) >= _HALF_OVERFLOWS, values, f"is no {_HALF}")
    # Always a copy: some models refuse memory that cannot be written, as that of a body.
    return values.astype(np.float32).reshape(-1, len(features))


def require_whole(values: NDArray[Any], features: Sequence[str], origin: Origin) -> None:
    """Raise the refusal of the first number that the datatype has not, where it has whole ones."""
    if origin.datatype in _WHOLE and values.dtype != origin.datatype.lower():
        blame = _Blame(features, origin)
        blame.number(~_whole(values, origin.datatype), values, f"is no {origin.datatype}")


class _Blame:
    """Turns the place of a number that cannot be used into a refusal."""

    def __init__(self, features: Sequence[str], origin: Origin) -> None:
        self._features = features
        self._origin = origin

    def number(self, bad: NDArray[np.bool_], values: NDArray[Any], rule: str) -> None:
        """Refuse the first bad number, if there is one."""
        if bad.any():
            row, feature = self._place(bad)
            number = f"{float(values[int(np.argmax(bad))]):g}"
            raise self._origin.refuse(f"row {row}, feature {feature}: {number} {rule}")

    def absence(self, missing: NDArray[np.bool_], optional: Container[str]) -> None:
        """Refuse the first value that is missing where it may not be, if there is one."""
        fixed = [feature not in optional for feature in self._features]
        bad = missing.reshape(-1, len(fixed)) & fixed
        if bad.any():
            row, feature = self._place(bad)
            raise self._origin.refuse(f"row {row}: feature {feature} is {self._origin.absent}")

    def _place(self, bad: NDArray[np.bool_]) -> tuple[int, str]:
        row, column = divmod(int(np.argmax(bad)), len(self._features))
        return row, clip(self._features[column])


def _whole(values: NDArray[Any], datatype: str) -> NDArray[np.bool_]:
    limits = np.iinfo(datatype.lower()) if datatype != TRUTH else None
    lowest, highest = (limits.min, limits.max) if limits else (0, 1)
    within = (values >= lowest) & (values <= highest)
    whole: NDArray[np.bool_] = (within & (values == np.floor(values))) | np.isnan(values)
    return whole
