"""Reasons against refused rows: counted by kind and column, and put into sentences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from include.text.showable import showable_name


class ReasonKind(StrEnum):
    """Why a row is refused, as in `rows.csv`: by its format, then by the contract."""

    UNDECODABLE = "bytes that are not UTF-8"
    UNCLOSED = "a quote that is never closed"
    STRAY = "a quote inside a field, or text behind a closing quote"
    RAGGED = "wrong number of fields"
    HEADER_AGAIN = "the header line again"
    NOT_JSON = "not JSON"
    NESTED = "a nested value"
    TWICE = "two keys of one name"
    HALF = "it may be half of a row: the line beside it looks like the other half"
    MISSING = "missing value"
    NO_NUMBER = "not a number"
    OTHER_NOTATION = "a number in another notation"
    OTHER_DATE = "a date in another notation"
    NO_DATE = "not a date"
    NO_TRUTH = "neither true nor false"
    NOT_FINITE = "not a finite number"
    OUT_OF_RANGE = "out of the accepted range"
    UNKNOWN_LABEL = "unknown label"
    CONFLICT = "the same features are known with another label"


MOST_KEPT = 10
"""Reasons that are recorded with a batch; the others are counted."""
_MOST_TOLD = 3
_LONGEST_TEXT = 80
_PHRASES: dict[str, str] = {
    ReasonKind.MISSING: "column {column} is empty where a value belongs",
    ReasonKind.NO_NUMBER: "column {column} holds a text where a number belongs",
    ReasonKind.OTHER_NOTATION: (
        "column {column} holds a number in another notation than it should be"
    ),
    ReasonKind.OTHER_DATE: "column {column} holds a date in another notation than it should be",
    ReasonKind.NO_DATE: "column {column} holds a text where a date belongs",
    ReasonKind.NO_TRUTH: "column {column} holds a text where true or false belongs",
    ReasonKind.NOT_FINITE: "column {column} holds a number that is infinite or too large",
    ReasonKind.OUT_OF_RANGE: "column {column} is out of the range that the spec accepts",
    ReasonKind.UNKNOWN_LABEL: "the target {column} holds neither of the two labels",
    ReasonKind.CONFLICT: "the same features are known with another label in {column}",
    ReasonKind.RAGGED: "the row has more or fewer fields than there are columns",
}
"""The sentence for a kind of reason; kinds that are not here are shown as they are."""


@dataclass(frozen=True)
class RefusalReason:
    """One reason against rows of a delivery."""

    kind: str
    """The kind of reason, as in `rows.csv`."""
    column: str
    """Empty where the row as a whole is bad."""
    rows: int
    line: int
    """The line of the first of these rows."""
    text: str
    """What is there: the cell, or the whole row where no single cell is to blame."""

    def __post_init__(self) -> None:
        """Make the texts that come from a file safe to show, and cut long ones."""
        for name, longest in (("kind", 400), ("column", 200), ("text", _LONGEST_TEXT)):
            object.__setattr__(self, name, showable_name(getattr(self, name), longest))

    @property
    def sentence(self) -> str:
        """As in `37 rows: column age holds a text where a number belongs, first on line 2: old`."""
        phrase = _PHRASES.get(self.kind)
        named = f"column {self.column}: {self.kind}" if self.column else self.kind
        what = phrase.format(column=self.column) if phrase else named
        shown = f": {self.text}" if self.text.strip() else ""
        return f"{with_noun(self.rows, 'row')}: {what}, first on line {self.line}{shown}"


@dataclass(frozen=True)
class Refusal:
    """The number of rows that were refused of one delivery."""

    digest: str
    name: str
    """The file's name as its sender knows it."""
    read: int
    refused: int
    whole: bool


@dataclass(frozen=True)
class SettledRows:
    """The refused rows of a delivery that later deliveries brought again."""

    lines: frozenset[int] = frozenset()
    everything: bool = False

    def holds(self, line: str) -> bool:
        """Say whether the row on this line is among them."""
        return self.everything or (line.isdecimal() and int(line) in self.lines)


class ReasonTally:
    """Counts reasons while the rows of a delivery are read."""

    def __init__(self) -> None:
        """Start without reasons."""
        self._found: dict[tuple[str, str], tuple[int, int, str]] = {}

    def add(self, kind: str, column: str, line: int, text: str) -> None:
        """Count a row; the first line and its text are stored for each reason."""
        rows, first, shown = self._found.get((kind, column), (0, line, text))
        self._found[kind, column] = (rows + 1, first, shown)

    def reasons(self) -> list[RefusalReason]:
        """Return all reasons, the commonest first."""
        return commonest_first(
            RefusalReason(kind, column, rows, line, text)
            for (kind, column), (rows, line, text) in self._found.items()
        )


def commonest_first(reasons: Iterable[RefusalReason]) -> list[RefusalReason]:
    """Return reasons with the commonest first; equal ones by first line, column and kind."""
    return sorted(reasons, key=lambda item: (-item.rows, item.line, item.column, item.kind))


def sentence(reasons: Sequence[RefusalReason], others: int = 0) -> str:
    """Return the commonest reasons in one sentence, and how many more there are with `others`."""
    return "; ".join(_sentences(reasons, others, _MOST_TOLD))


def reason_lines(reasons: Sequence[RefusalReason], others: int = 0) -> str:
    """Return the reasons that are recorded, a line each."""
    return "\n".join(f"- {line}" for line in _sentences(reasons, others, MOST_KEPT))


def _sentences(reasons: Sequence[RefusalReason], others: int, most: int) -> list[str]:
    more = max(0, len(reasons) - most) + others
    sentences = [reason.sentence for reason in reasons[:most]]
    return [*sentences, f"and {with_noun(more, 'more reason')}"] if more else sentences


def with_noun(number: int, thing: str) -> str:
    """Return a number with its noun, as in `1 row` and `4,871 rows`."""
    return f"{number:,} {thing}" + "s" * (number != 1)
