"""Reads a delivery into typed rows, part by part, and refuses each bad row on its own.

A row is refused, never repaired: a guess would reach the model. A file is refused only when none of
its rows can be trusted: a column is missing or of another kind, or too large a share of the rows is
bad.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from include.errors import BadRowsError
from include.formats.opening import raw_texts
from include.formats.parsed_table import BLOCK_BYTES, ParsedTable, RefusedRow
from include.records.refusal_reasons import ReasonKind
from include.spec.contract import Contract
from include.spec.data_spec import Data
from include.spec.model_spec import Spec
from include.stages.ingest.column_summary import (
    ColumnSummary,
    merging_values,
    outside_ranges,
    summary_of,
    with_ranges_seen,
)
from include.stages.ingest.columns import (
    first_names,
    require_columns,
    require_features,
    require_kinds,
    require_none_renamed,
    require_target_kind,
    require_unique,
)
from include.stages.ingest.first_file import read_first
from include.stages.ingest.labels import (
    LabelTally,
    labels_sentence,
    require_labels,
    share_sentence,
)
from include.stages.ingest.part import TypedPart
from include.stages.ingest.parts import DeliverySource, first_parts, parts, stated_format
from include.stages.ingest.row_checks import LARGEST
from include.stages.ingest.tally import DeliveryTally, empty_columns, marked_gaps

__all__ = [
    "LARGEST",
    "ColumnSummary",
    "DeliveryReading",
    "DeliveryTally",
    "LabelTally",
    "RefusedRow",
    "TypedPart",
    "empty_columns",
    "ingest",
    "labels_sentence",
    "marked_gaps",
    "merging_values",
    "outside_ranges",
    "raw_texts",
    "read_unlabelled",
    "require_decodable",
    "require_few_words",
    "require_labels",
    "require_mostly_good",
    "require_one_notation",
    "share_sentence",
    "stated_format",
    "summary_of",
    "with_ranges_seen",
]

_FEW = 2
OTHER_SHARE = 0.01
"""A file with a larger share of rows that nobody can read as they were meant is refused whole."""
WORD_SHARE = 0.1
"""A column of a first file with a larger share of words among its numbers may be of categories."""
_NO_VALUES = {
    ReasonKind.NO_NUMBER: "numbers",
    ReasonKind.NO_DATE: "dates",
    ReasonKind.NO_TRUTH: "truths",
}
ENOUGH_LINES = 1 << 19
"""From this many lines on, a file is refused as soon as too many of its lines are bad."""


@dataclass(frozen=True)
class DeliveryReading:
    """A delivery while it is being read."""

    contract: Contract
    """The contract that was given, else one derived from the start of the file, without ranges and
    categories seen."""
    extra: tuple[str, ...]
    """Columns that the spec selects but the contract does not have: they are not read."""
    parts: Iterator[TypedPart]
    """To be iterated once; each part is read when it is asked for. Raises FileRefusedError."""
    remarks: tuple[str, ...] = ()
    """Sentences on what its sender may not expect of how the file is read."""
    absent: tuple[str, ...] = ()
    """Features that the file has no column for."""


def ingest(
    file: BinaryIO, name: str, spec: Spec, contract: Contract | None, size: int = BLOCK_BYTES
) -> DeliveryReading:
    """Read a delivery called `name` (see `open_table`) in parts of about `size` bytes.

    `contract` is None for the first file of a spec. Raises FileRefusedError, here and while the
    parts are iterated. Memory is a few times `size`, however large the file is.
    """
    known = frozenset(contract.features if contract else ())
    source, data = DeliverySource(file, name, spec.data, size, known), spec.data
    if contract is None:
        first = read_first(source, spec)
        typed_parts = first_parts(first.table, first.contract, first.first_chunk, data)
        return DeliveryReading(first.contract, (), _mostly_good(typed_parts, data), first.remarks)
    table = source.open()
    require_columns(table.columns, data, contract)
    require_target_kind(table, contract.target)
    return _later_file(table, data, contract, labelled=True)


def read_unlabelled(
    file: BinaryIO, name: str, spec: Spec, contract: Contract, size: int = BLOCK_BYTES
) -> DeliveryReading:
    """Read rows to be predicted as `ingest` reads a delivery: the same features, and no label.

    A column of labels may be there; it is not read.
    """
    known = frozenset(contract.features)
    table = DeliverySource(file, name, spec.data, size, known, labelled=False).open()
    require_unique(table.columns)
    require_features(table.columns, spec.data, contract)
    return _later_file(table, spec.data, contract, labelled=False)


def _later_file(
    table: ParsedTable, data: Data, contract: Contract, *, labelled: bool
) -> DeliveryReading:
    """Return the reading of a file whose features are those of a contract."""
    require_kinds(table, contract)
    features = dict.fromkeys(contract.features)
    known = {*features, *contract.left_out}
    extra = tuple(
        column for column in table.columns if data.selects(column) and column not in known
    )
    absent = tuple(name for name in features if not table.has(name))
    # A column without a name is taken for an index in the first place only.
    require_none_renamed(absent, [*extra, *[""][: "" in table.columns[1:]]])
    remarks = (
        (f"there is no column {first_names(absent)}: it is missing in every row",) if absent else ()
    )
    typed_parts = parts(table, contract, labelled=labelled)
    return DeliveryReading(contract, extra, _mostly_good(typed_parts, data), remarks, absent)


def require_mostly_good(bad_lines: int, lines: int, data: Data) -> None:
    """Raise BadRowsError when a larger share of lines is in bad rows than the spec allows."""
    if lines and bad_lines / lines > data.max_refused_share:
        raise BadRowsError(
            f"{bad_lines:,} of {lines:,} lines are in bad rows, more than the share of "
            f"{data.max_refused_share:g} that the spec allows"
        )


def require_one_notation(counts: Mapping[str, int], lines: int) -> None:
    """Raise BadRowsError when many rows are refused for a value in another notation.

    `counts` are the refused rows by reason. The remaining rows would be a biased sample: of amounts
    written 1,234.50, all those below 1,000.
    """
    numbers, dates = counts.get(ReasonKind.OTHER_NOTATION, 0), counts.get(ReasonKind.OTHER_DATE, 0)
    if numbers + dates > max(_FEW, OTHER_SHARE * lines):
        raise BadRowsError(
            f"{numbers + dates:,} of {lines:,} lines have {'a number' if numbers else 'a date'} in "
            "another notation than their column, and without them the others would be a biased "
            "sample: write it as in the others, or state how it is written under [data.notation] "
            "in the spec"
        )


def require_few_words(tally: DeliveryTally, data: Data) -> None:
    """Raise BadRowsError when a column of a first file holds many texts that are no value of it.

    Whether they are categories, of which the numbers are others, or say that there is no value,
    only its sender can tell, or the spec, where it states a notation.
    """
    for reason in tally.reasons.reasons():
        nouns = next((nouns for kind, nouns in _NO_VALUES.items() if kind == reason.kind), "")
        is_much = reason.rows > max(_FEW, WORD_SHARE * tally.read)
        if nouns and is_much and data.notation_of(reason.column) is None:
            raise BadRowsError(
                f"column {reason.column} holds {nouns}, and other texts in {reason.rows:,} of "
                f"{tally.read:,} rows: if all of them are categories, list the column in "
                "`categorical`; if such a text says that there is no value, leave the field empty"
            )


def require_decodable(counts: Mapping[str, int], lines: int) -> None:
    """Raise BadRowsError when many rows are refused for their encoding.

    The remaining rows would be a biased sample: all those without an accent.
    """
    others = counts.get(ReasonKind.UNDECODABLE, 0)
    if others > max(_FEW, OTHER_SHARE * lines):
        raise BadRowsError(
            f"{others:,} of {lines:,} lines have bytes that are not UTF-8, and without them the "
            "others would be a biased sample: save the file as UTF-8, or state what it is under "
            '[data] in the spec, such as encoding = "windows-1252"'
        )


def _mostly_good(parts: Iterator[TypedPart], data: Data) -> Iterator[TypedPart]:
    """Yield parts until too many lines are bad: the start of a hopeless file is enough."""
    bad_lines = lines = 0
    for part in parts:
        yield part
        bad_lines, lines = bad_lines + part.bad_lines, lines + part.lines
        if lines >= ENOUGH_LINES:
            require_mostly_good(bad_lines, lines, data)
