"""What a check says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A sentence about one source."""

    words: str
    is_fault: bool = True
    """Whether a person has to do something; otherwise it only says how things are."""
