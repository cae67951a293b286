"""The columns that a row gets beside its features, and the two sides of the split."""

from enum import StrEnum

LINE, LABEL, BATCH, SIDE = "line", "label", "batch", "side"
KEY_HIGH, KEY_LOW = KEYS = ("key_high", "key_low")
"""The halves of the key by which rows are compared."""
OWN_COLUMNS = frozenset({LINE, LABEL, *KEYS, SIDE, BATCH})
"""All of them; `line` is known only while a delivery is read."""
ID = "id"
"""The identity of a row, where the contract names a column for it."""


class Side(StrEnum):
    """The side of a row, for good."""

    TRAIN = "train"
    HOLDOUT = "holdout"
