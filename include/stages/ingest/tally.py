"""Counts over the parts of a delivery."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from include.records.refusal_reasons import ReasonTally
from include.spec.contract import ColumnKind, Contract
from include.stages.ingest.column_summary import ColumnSummary, outside_ranges, summary_of
from include.stages.ingest.labels import LabelTally
from include.stages.ingest.part import TypedPart
from include.text.showable import showable_name
from serving.values.notation import PLAIN

_ENOUGH_ROWS = 20
"""In fewer rows a column may have no value by chance."""
_AS_NUMBERS = (
    ". Numbers alone may come there later: where texts belong, copy the spec to a new name, list "
    "the column in `categorical` or in `exclude` there, and drop the file for that one"
)


@dataclass
class DeliveryTally:
    """Counts over the parts so far."""

    parts: int = 0
    read: int = 0
    lines: int = 0
    bad_lines: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """Refused rows by kind of reason."""
    reasons: ReasonTally = field(default_factory=ReasonTally)
    labels: LabelTally = field(default_factory=LabelTally)
    outside: Counter[str] = field(default_factory=Counter)
    """Rows by column beyond what the first batch held."""
    seen: ColumnSummary | None = None
    """Ranges, categories and gaps of a first batch."""
    marks: dict[str, dict[str, None]] = field(default_factory=dict)
    """By column of numbers, the marks of a gap in the order met."""
    remarks: list[str] = field(default_factory=list)
    """Sentences on numbers behind the first rows of a first file."""
    filled: set[str] = field(default_factory=set)
    """Columns with a value in a good row."""

    def add(self, part: TypedPart, contract: Contract, *, is_first: bool) -> None:
        """Add a part; of a first batch what its columns hold, of a later one what is new in it."""
        self.parts += 1
        self.read += part.frame.height + len(part.refused)
        self.lines += part.lines
        self.bad_lines += part.bad_lines
        self.counts.update(row.reason for row in part.refused)
        for row in part.refused:
            self.reasons.add(row.reason, row.column, row.line, row.cell.strip() or row.raw)
        self.labels.add(part.frame, part.refused)
        gaps = part.frame.null_count().row(0, named=True)
        self.filled.update(name for name, rows in gaps.items() if rows < part.frame.height)
        for name, texts in part.marks.items():
            self.marks.setdefault(name, {}).update(dict.fromkeys(texts))
        self.remarks += part.remarks
        if is_first:
            summary = summary_of(part.frame, contract)
            self.seen = summary if self.seen is None else self.seen.merge(summary)
        else:
            self.outside.update(outside_ranges(part.frame, contract))


def marked_gaps(tally: DeliveryTally) -> Iterator[str]:
    """Yield a sentence for each column in which a mark stands for no number."""
    for name, marks in tally.marks.items():
        yield (
            f"column {showable_name(name)}: {', '.join(marks)} among its numbers "
            f"{'counts' if len(marks) == 1 else 'count'} as missing; where a number is meant, "
            "such as zero, write it"
        )


def empty_columns(
    tally: DeliveryTally, contract: Contract, absent: Collection[str], *, is_first: bool = False
) -> list[str]:
    """Return a sentence for each feature without a value in any good row; not for `absent` ones."""
    if tally.read - tally.counts.total() < _ENOUGH_ROWS:
        return []
    plain = {
        column.name
        for column in contract.columns
        if column.kind is ColumnKind.NUMBER and column.notation == PLAIN
    }
    return [
        f"column {showable_name(name)} has no value in any row: is that meant? Ask the sender"
        + (_AS_NUMBERS if is_first and name in plain else "")
        for name in contract.features
        if name not in tally.filled and name not in absent
    ]
