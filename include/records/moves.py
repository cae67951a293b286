"""The records of what moves the champion: the move itself, and what people ask and answer.

Frozen and plain, as those of `include.records`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from include.text.showable import showable

LONGEST_WORDS = 1_000
"""Of a reason, or of what asks, in characters: an entry of the log has to hold both."""


class MoveKind(StrEnum):
    """Why the champion alias moved."""

    PROMOTION = "promotion"
    ROLL_BACK = "roll back"
    ADOPTION = "adoption"
    """A model from elsewhere became the first champion."""
    GIVEN_BACK = "given back"
    """The endpoint did not come to answer with a new champion; the run put the one before back."""
    BY_HAND = "by hand"
    """Somebody moved the alias in MLflow; it was found there later."""
    FELL_BACK = "fell back"
    """The champion was deleted in MLflow; the newest one before it that is left took its place."""
    RECOVERED = "recovered"
    """Read from aliases and tags of the versions, after the log of moves was deleted for good."""

    @property
    def leads_back(self) -> bool:
        """Whether the move undoes promotions that it passes over."""
        return self in {MoveKind.ROLL_BACK, MoveKind.GIVEN_BACK, MoveKind.FELL_BACK}

    @property
    def may_lead_back(self) -> bool:
        """Whether the move does so where it leads to a version that was champion before."""
        return self.leads_back or self in {MoveKind.BY_HAND, MoveKind.RECOVERED}


@dataclass(frozen=True)
class Move:
    """One move of the champion alias."""

    kind: MoveKind
    version: str | None
    """The champion from then on; None when the alias was removed by hand."""
    key: str
    """What asked for it: asked again with the same key, it is not made again."""
    by: str = ""
    """The MLflow run, the run of the Dag or the person."""
    reason: str = ""
    number: int = 0
    """Its place in the log, from 1; the registry fills in this and what follows."""
    before: str | None = None
    """The champion until then."""
    at: str = ""
    """When it was recorded, UTC, ISO 8601."""
    made_in: str = ""
    """The MLflow run that made the version, which tells it from another of its number; empty in
    what release 0.1.0 recorded."""

    def leads_where(self, other: "Move") -> bool:
        """Whether both lead to the same version, as far as they say."""
        runs = {self.made_in, other.made_in} - {""}
        return self.version == other.version and len(runs) <= 1

    def __post_init__(self) -> None:
        """Keep of what people wrote what the log can hold."""
        for name in ("key", "by", "reason"):
            object.__setattr__(self, name, showable(getattr(self, name), LONGEST_WORDS))


@dataclass(frozen=True)
class Withdrawal:
    """A champion that was passed over on a way back."""

    champion: Move
    """The move that had made it the champion."""
    by: Move


@dataclass(frozen=True)
class Succession:
    """Who was champion, as far as it still counts."""

    line: tuple[Move, ...]
    """The moves to the champions that lead to the present one, the newest last."""
    withdrawn: tuple[Withdrawal, ...]


def succession(moves: Sequence[Move]) -> Succession:
    """Return what is left of every move, the oldest given first."""
    line: list[Move] = []
    withdrawn: list[Withdrawal] = []
    for move in moves:
        if move.version is None or (line and line[-1].leads_where(move)):
            continue
        before = [at for at, one in enumerate(line) if one.leads_where(move)]
        if move.kind.may_lead_back and before:
            withdrawn += [Withdrawal(one, move) for one in line[before[-1] + 1 :]]
            del line[before[-1] + 1 :]
        else:
            line.append(move)
    return Succession(tuple(line), tuple(withdrawn))


@dataclass(frozen=True)
class RollBack:
    """What a person asks for who wants an earlier champion back."""

    key: str
    """What asks: asked again, it moves nothing more."""
    steps: int
    """How many promotions to go back."""
    reason: str
    by: str
    """The run of the Dag or the person."""


@dataclass(frozen=True)
class Answer:
    """What a person said to a promotion that the gate had decided on."""

    approved: bool
    by: str
    at: str
    """ISO 8601."""
