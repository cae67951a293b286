"""From a delivery to typed rows, a part at a time, each bad row refused on its own.

A row is refused, never repaired: a guess would reach the model. A file is refused only when no
row of it can be trusted: a column is missing or of another kind, or too large a share of the rows
is bad.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from include.errors import BadRowsError
from include.formats.opening import raw_texts
from include.formats.parsed_table import BLOCK_BYTES, RefusedRow
from include.records.refusal_reasons import OTHER_NOTATION
from include.spec.contract import Contract
from include.spec.data_spec import Data
from include.spec.model_spec import Spec
from include.stages.ingest.column_summary import ColumnSummary, merging, outside, seen, with_seen
from include.stages.ingest.columns import (
    listed,
    require_columns,
    require_kinds,
    require_none_renamed,
)
from include.stages.ingest.first_file import read_first
from include.stages.ingest.labels import (
    LabelTally,
    labels_sentence,
    require_labels,
    share_sentence,
)
from include.stages.ingest.part import TypedPart
from include.stages.ingest.parts import Source, first_parts, parts, stated
from include.stages.ingest.row_checks import LARGEST
from include.stages.ingest.tally import Tally, empty_columns

__all__ = [
    "LARGEST",
    "ColumnSummary",
    "Ingested",
    "LabelTally",
    "RefusedRow",
    "Tally",
    "TypedPart",
    "empty_columns",
    "ingest",
    "labels_sentence",
    "merging",
    "outside",
    "raw_texts",
    "require_labels",
    "require_mostly_good",
    "require_one_notation",
    "seen",
    "share_sentence",
    "stated",
    "with_seen",
]

_FEW = 2
OTHER_SHARE = 0.01
"""A file with a larger share of numbers in another notation is refused whole."""
ENOUGH_LINES = 1 << 19
"""From so many lines on a file has to be mostly good as far as it is read."""


@dataclass(frozen=True)
class Ingested:
    """A delivery that is being read."""

    contract: Contract
    """The one that was given, or one that the start of the file shows, without what was seen."""
    extra: tuple[str, ...]
    """Columns that the spec would take but the contract does not know: they are not read."""
    parts: Iterator[TypedPart]
    """To be taken once, each made when it is asked for; raises FileRefusedError."""
    remarks: tuple[str, ...] = ()
    """What its sender may not expect of how a first file is read, a sentence each."""
    absent: tuple[str, ...] = ()
    """Features that the file has no column of."""


def ingest(
    file: BinaryIO, name: str, spec: Spec, contract: Contract | None, size: int = BLOCK_BYTES
) -> Ingested:
    """Read a delivery called `name` (see `open_table`) in parts of about `size` bytes.

    Raises FileRefusedError, here and while the parts are taken. Memory is a few times `size`,
    however large the file is.
    """
    source, data = Source(file, name, spec.data, size), spec.data
    if contract is None:
        first = read_first(source, spec)
        found = first_parts(first.table, first.contract, first.first_chunk, data)
        return Ingested(first.contract, (), _mostly_good(found, data), first.remarks)
    table = source.opened()
    require_columns(table.columns, data, contract)
    require_kinds(table, contract)
    extra = tuple(
        one for one in table.columns if data.selects(one) and one not in contract.features
    )
    absent = tuple(name for name in contract.features if not table.has(name))
    # One without a name is an index in the first place only.
    require_none_renamed(absent, [*extra, *[""][: "" in table.columns[1:]]])
    said = (f"there is no column {listed(absent)}: it is missing in every row",) if absent else ()
    return Ingested(contract, extra, _mostly_good(parts(table, contract), data), said, absent)


def require_mostly_good(bad_lines: int, lines: int, data: Data) -> None:
    """Raise BadRowsError when more lines of a delivery are in bad rows than the spec allows."""
    if lines and bad_lines / lines > data.max_refused_share:
        raise BadRowsError(
            f"{bad_lines:,} of {lines:,} lines are in bad rows, more than the share of "
            f"{data.max_refused_share:g} that the spec allows"
        )


def require_one_notation(counts: Mapping[str, int], lines: int) -> None:
    """Raise BadRowsError when many rows are refused for a number in another notation.

    `counts` are the refused rows by reason. Those who are left would be a biased sample: of amounts
    written 1,234.50 all below 1,000.
    """
    others = counts.get(OTHER_NOTATION, 0)
    if others > max(_FEW, OTHER_SHARE * lines):
        raise BadRowsError(
            f"{others:,} of {lines:,} lines have a number in another notation than their column, "
            "and without them the others would be a biased sample: write it as in the others, or "
            "state how it is written under [data.notation] in the spec"
        )


def _mostly_good(parts: Iterator[TypedPart], data: Data) -> Iterator[TypedPart]:
    """Yield the parts until too many lines are bad: of a hopeless file the start is enough."""
    bad_lines = lines = 0
    for part in parts:
        yield part
        bad_lines, lines = bad_lines + part.bad_lines, lines + part.lines
        if lines >= ENOUGH_LINES:
            require_mostly_good(bad_lines, lines, data)
