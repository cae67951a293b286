"""Records of champion moves, and of what people request and answer about them.

Frozen and plain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from include.text.showable import showable

LONGEST_WORDS = 1_000
"""Characters of a reason, a key or a name: the log has to hold them all."""


class MoveKind(StrEnum):
    """Why the champion alias moved."""

    PROMOTION = "promotion"
    ROLL_BACK = "roll back"
    ADOPTION = "adoption"
    """A model from elsewhere became the first champion."""
    GIVEN_BACK = "given back"
    """The endpoint did not answer with a new champion; the run put the previous one back."""
    BY_HAND = "by hand"
    """Somebody moved the alias in MLflow, which was noticed later."""
    FELL_BACK = "fell back"
    """The champion was deleted in MLflow; the newest earlier one that exists took its place."""
    RECOVERED = "recovered"
    """Read from aliases and tags of the versions after the log of moves was lost for good."""

    @property
    def leads_back(self) -> bool:
        """Whether the move undoes the promotions that it passes over."""
        return self in {MoveKind.ROLL_BACK, MoveKind.GIVEN_BACK, MoveKind.FELL_BACK}

    @property
    def may_lead_back(self) -> bool:
        """Whether the move does so where its version was champion before."""
        return self.leads_back or self in {MoveKind.BY_HAND, MoveKind.RECOVERED}


@dataclass(frozen=True)
class Move:
    """One move of the champion alias."""

    kind: MoveKind
    version: str | None
    """The champion from then on; None when the alias was removed by hand."""
    key: str
    """Identifies the request: the same key again makes no second move."""
    by: str = ""
    """The MLflow run, the run of the Dag or the person."""
    reason: str = ""
    number: int = 0
    """Its position in the log, from 1; the registry sets this and the following fields."""
    before: str | None = None
    """The champion until then."""
    at: str = ""
    """When it was recorded: UTC, ISO 8601."""
    made_in: str = ""
    """The MLflow run that made the version, which distinguishes it from another one of the same
    number; empty in what release 0.1.0 recorded."""

    def leads_where(self, other: "Move") -> bool:
        """Say whether both moves lead to the same version, as far as they record it."""
        runs = {self.made_in, other.made_in} - {""}
        return self.version == other.version and len(runs) <= 1

    def __post_init__(self) -> None:
        """Make the texts that people wrote showable, and cut them to what the log can hold."""
        for name in ("key", "by", "reason"):
            object.__setattr__(self, name, showable(getattr(self, name), LONGEST_WORDS))


@dataclass(frozen=True)
class Withdrawal:
    """A champion that a way back passed over, and the move that did so."""

    champion: Move
    """The move that had made it the champion."""
    by: Move


@dataclass(frozen=True)
class Succession:
    """The champions that count, and those that were withdrawn."""

    line: tuple[Move, ...]
    """The moves to the champions that lead to the present one, the newest last."""
    withdrawn: tuple[Withdrawal, ...]


def succession(moves: Sequence[Move]) -> Succession:
    """Return the line of champions and the withdrawn ones; `moves` come oldest first.

    A move back to a version in the line removes those after it. Example: versions 1, 2 and 3 are
    promoted, then a roll back leads to 1; the line is 1, and 2 and 3 are withdrawn.
    """
    line: list[Move] = []
    withdrawn: list[Withdrawal] = []
    for move in moves:
        if move.version is None or (line and line[-1].leads_where(move)):
            continue
        before = [place for place, earlier in enumerate(line) if earlier.leads_where(move)]
        if move.kind.may_lead_back and before:
            withdrawn += [Withdrawal(earlier, move) for earlier in line[before[-1] + 1 :]]
            del line[before[-1] + 1 :]
        else:
            line.append(move)
    return Succession(tuple(line), tuple(withdrawn))


@dataclass(frozen=True)
class RollBack:
    """A person's request for an earlier champion."""

    key: str
    """Identifies the request: the same key again moves nothing more."""
    steps: int
    """The number of promotions to go back."""
    reason: str
    by: str
    """The run of the Dag or the person."""


@dataclass(frozen=True)
class Answer:
    """A person's answer to a promotion that the gate has decided on."""

    approved: bool
    by: str
    at: str
    """ISO 8601."""
