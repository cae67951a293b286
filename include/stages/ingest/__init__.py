"""From a delivery to typed rows, a part at a time, each bad row refused on its own.

A row is refused, never repaired: a guess would reach the model. A file is refused only when no
row of it can be trusted: a column is missing or of another kind, or too large a share of the rows
is bad.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from include.contract import Contract, first
from include.errors import BadRowsError
from include.formats import BLOCK_BYTES, Chunk, RefusedRow, Stated, Table, open_table, raw_texts
from include.spec import Data, Spec
from include.stages.ingest.columns import kinds_of, require_columns, require_kinds, require_values
from include.stages.ingest.labels import (
    LabelTally,
    labels_sentence,
    require_labels,
    share_sentence,
)
from include.stages.ingest.part import Part
from include.stages.ingest.rows import LARGEST, judged
from include.stages.ingest.seen import Seen, outside, seen, with_seen
from include.stages.ingest.tally import Tally

__all__ = [
    "LARGEST",
    "Ingested",
    "LabelTally",
    "Part",
    "RefusedRow",
    "Seen",
    "Tally",
    "ingest",
    "labels_sentence",
    "outside",
    "raw_texts",
    "require_labels",
    "require_mostly_good",
    "seen",
    "share_sentence",
    "stated",
    "with_seen",
]

ENOUGH_LINES = 1 << 19
"""From so many lines on a file has to be mostly good as far as it is read."""


@dataclass(frozen=True)
class Ingested:
    """A delivery that is being read."""

    contract: Contract
    """The one that was given, or one that the start of the file shows, without what was seen."""
    extra: tuple[str, ...]
    """Columns that the spec would take but the contract does not know: they are not read."""
    parts: Iterator[Part]
    """To be taken once, each made when it is asked for; raises FileRefusedError."""


def ingest(
    file: BinaryIO, name: str, spec: Spec, contract: Contract | None, size: int = BLOCK_BYTES
) -> Ingested:
    """Read a delivery called `name` (see `open_table`) in parts of about `size` bytes.

    Raises FileRefusedError, here and while the parts are taken. Memory is a few times `size`,
    however large the file is.
    """
    table = open_table(file, name, stated(spec.data), size)
    require_columns(table.columns, spec.data, contract)
    start = None
    found = spec.data.feature_columns(table.columns) if contract is None else ()
    require_values(found, spec.data.target, table)
    if contract is None:
        start = table.read([*found, spec.data.target], ())
        contract = first(spec, kinds_of(found, table, start, spec.data), since="")
    require_kinds(table, contract)
    known = set(contract.features)
    extra = tuple(one for one in table.columns if spec.data.selects(one) and one not in known)
    return Ingested(contract, extra, _mostly_good(_parts(table, contract, start), spec.data))


def stated(data: Data) -> Stated:
    """Return what a spec says of the text of deliveries."""
    return Stated(data.target, data.encoding, data.columns)


def require_mostly_good(bad_lines: int, lines: int, data: Data) -> None:
    """Raise BadRowsError when more lines of a delivery are in bad rows than the spec allows."""
    if lines and bad_lines / lines > data.max_refused_share:
        raise BadRowsError(
            f"{bad_lines:,} of {lines:,} lines are in bad rows, more than the share of "
            f"{data.max_refused_share:g} that the spec allows"
        )


def _mostly_good(parts: Iterator[Part], data: Data) -> Iterator[Part]:
    """Yield the parts until too many lines are bad: of a hopeless file the start is enough."""
    bad_lines = lines = 0
    for part in parts:
        yield part
        bad_lines, lines = bad_lines + part.bad_lines, lines + part.lines
        if lines >= ENOUGH_LINES:
            require_mostly_good(bad_lines, lines, data)


def _parts(table: Table, contract: Contract, start: Chunk | None) -> Iterator[Part]:
    columns = [*contract.features, contract.target]
    numbers = {one.name for one in contract.columns if one.kind == "number" and not one.missing}
    chunk = start or table.read(columns, numbers)
    while chunk is not None:
        frame, refused = judged(chunk, contract)
        yield Part(frame, refused)
        del frame, refused
        chunk = table.read(columns, numbers)
