"""The columns that a row gets beside its features, and the two sides of the split."""

from enum import IntEnum, StrEnum

LINE, LABEL, BATCH, SIDE = "line", "label", "batch", "side"
ARRIVED_AT = "arrived_at"
"""When the batch of a row was taken in for the first time."""
KEY_HIGH, KEY_LOW = KEYS = ("key_high", "key_low")
"""The halves of the key by which rows are compared."""
OWN_COLUMNS = frozenset({LINE, LABEL, *KEYS, SIDE, BATCH, ARRIVED_AT})
"""Those that every row has; `line` is known only while a delivery is read."""
ID, GROUP, EVENT_TIME, WEIGHT = "id", "group", "event_time", "weight"
"""Those that the rows of a table have where its contract names a column for them."""


class TableFormat(IntEnum):
    """How the rows of a version of the table are laid out, and what their keys are made of."""

    FIRST = 1
    """Of release 0.1.0: side and label partition; keys are made of float64 values."""
    SECOND = 2
    """The side alone partitions; keys are made of the float32 values that a model sees."""


NEWEST_FORMAT = TableFormat.SECOND


class Side(StrEnum):
    """The side of a row, for good."""

    TRAIN = "train"
    HOLDOUT = "holdout"
