"""Why rows were refused: counted by reason and column, and told in one sentence, made here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from include.text.showable import showable_name

UNKNOWN_LABEL = "unknown label"
OTHER_NOTATION = "a number in another notation"
CONFLICT = "the same features are known with another label"
MOST_KEPT = 10
"""Reasons that travel with a batch; the others are counted."""
_MOST_TOLD = 3
_LONGEST_TEXT = 80
_PHRASES = {
    "missing value": "column {column} is empty where a value belongs",
    "not a number": "column {column} holds a text where a number belongs",
    OTHER_NOTATION: "column {column} holds a number in another notation than it should be",
    "not a date": "column {column} holds a text where a date belongs",
    "neither true nor false": "column {column} holds a text where true or false belongs",
    "not a finite number": "column {column} holds a number that is infinite or too large",
    "out of the accepted range": "column {column} is out of the range that the spec accepts",
    UNKNOWN_LABEL: "the target {column} holds neither of the two labels",
    CONFLICT: "the same features are known with another label in {column}",
    "wrong number of fields": "the row has more or fewer fields than there are columns",
}


@dataclass(frozen=True)
class RefusalReason:
    """One reason against rows of a delivery."""

    kind: str
    """As `rows.csv` has it."""
    column: str
    """Empty where the row as a whole is bad."""
    rows: int
    line: int
    """Of the first of these rows."""
    text: str
    """What stands there: the cell, or the whole row where no single cell is to blame."""

    def __post_init__(self) -> None:
        """Make showable what a file says; a long text is cut."""
        for name, longest in (("kind", 400), ("column", 200), ("text", _LONGEST_TEXT)):
            object.__setattr__(self, name, showable_name(getattr(self, name), longest))

    @property
    def sentence(self) -> str:
        """As in `37 rows: column age holds a text where a number belongs, first on line 2: old`."""
        phrase = _PHRASES.get(self.kind)
        named = f"column {self.column}: {self.kind}" if self.column else self.kind
        what = phrase.format(column=self.column) if phrase else named
        shown = f": {self.text}" if self.text.strip() else ""
        return f"{counted(self.rows, 'row')}: {what}, first on line {self.line}{shown}"


@dataclass(frozen=True)
class Refusal:
    """What was refused of one delivery."""

    digest: str
    name: str
    """Of the file, as its sender knows it."""
    read: int
    refused: int
    whole: bool


@dataclass(frozen=True)
class Settled:
    """What of a delivery's refused rows was brought again by others."""

    lines: frozenset[int] = frozenset()
    everything: bool = False

    def holds(self, line: str) -> bool:
        """Say whether the row on this line is among them."""
        return self.everything or (line.isdecimal() and int(line) in self.lines)


class ReasonTally:
    """Reasons as the rows of a delivery come by."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: dict[tuple[str, str], tuple[int, int, str]] = {}

    def add(self, kind: str, column: str, line: int, text: str) -> None:
        """Count a row; of every reason the first line and its text are kept."""
        rows, first, shown = self._found.get((kind, column), (0, line, text))
        self._found[kind, column] = (rows + 1, first, shown)

    def reasons(self) -> list[RefusalReason]:
        """Return all of them, the commonest first."""
        return ranked(
            RefusalReason(kind, column, rows, line, text)
            for (kind, column), (rows, line, text) in self._found.items()
        )


def ranked(reasons: Iterable[RefusalReason]) -> list[RefusalReason]:
    """Return reasons with the commonest first, among equals that which came first."""
    return sorted(reasons, key=lambda item: (-item.rows, item.line, item.column, item.kind))


def sentence(reasons: Sequence[RefusalReason], others: int = 0) -> str:
    """Tell the commonest reasons and how many more there are; `others` are not among them."""
    return "; ".join(_told(reasons, others, _MOST_TOLD))


def listed(reasons: Sequence[RefusalReason], others: int = 0) -> str:
    """Tell all reasons that are kept, a line each."""
    return "\n".join(f"- {one}" for one in _told(reasons, others, MOST_KEPT))


def _told(reasons: Sequence[RefusalReason], others: int, most: int) -> list[str]:
    more = max(0, len(reasons) - most) + others
    told = [one.sentence for one in reasons[:most]]
    return [*told, f"and {counted(more, 'more reason')}"] if more else told


def counted(number: int, thing: str) -> str:
    """Return a number with its thing, as in `1 row` and `4,871 rows`."""
    return f"{number:,} {thing}" + "s" * (number != 1)
