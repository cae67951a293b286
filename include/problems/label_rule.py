"""What a spec, and after it a contract, says of the labels of its rows."""

from typing import Protocol

Label = bool | int | str
"""`true` is a truth, 1 a number, "1" a text; each matches what it looks like in any format."""
ANYTHING_ELSE = "*"
"""As the negative label: any value that is present and is not the positive one."""


class LabelRule(Protocol):
    """The labels of two classes."""

    @property
    def positive(self) -> Label:
        """The positive label."""

    @property
    def negatives(self) -> tuple[Label, ...]:
        """The negative labels."""
