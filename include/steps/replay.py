"""Lists what is in quarantine, and sends it through the landing place again.

What is replayed becomes a file in the landing place like any other and is checked by the newest
contract. It stays in quarantine until it has been ingested.

When killed: the file is in the landing place whole, or not at all. The same rows have the same file
name, so that replaying them again adds nothing.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO

from include.adapters.landing import Landing
from include.context.intake_context import IntakeContext
from include.errors import NothingToDoError
from include.formats.opening import open_table, raw_texts
from include.formats.suffixes import name_unpacked
from include.records.refusal_reasons import ReasonKind
from include.stages.ingest import stated_format
from include.steps.quarantined_rows import read_rows, rows_of
from include.steps.settle import OWN_NAME, unsettled_rows
from include.text.encodings import BOM, UTF_8
from include.text.nearest import did_you_mean
from include.text.showable import showable_name, showable_row

_SHOWN = 12
_LINE = re.compile(r"[0-9]{1,18}")
_DIGEST_START = re.compile(r"[0-9a-f]{1,64}")
# Of a name of any length its end is kept, which tells the format; a disk takes 255 bytes.
_NAME_END = 50


@dataclass(frozen=True)
class QuarantinedRows:
    """The rows of one batch that are in quarantine for one reason, or the whole file."""

    digest: str
    name: str
    """The name of the file, safe to show; empty when it is not known any more."""
    since: datetime
    reason: str
    rows: int
    """The number of rows; 0 for a file that was refused whole."""
    column: str = ""
    """The column that the reason is about; empty for the whole row or file."""
    settled: bool = False
    """Whether a mended copy has been ingested."""


def list_quarantine(context: IntakeContext, *, settled: bool = False) -> list[QuarantinedRows]:
    """Return what is in quarantine, the newest first; with `settled` also what has been mended."""
    found: list[QuarantinedRows] = []
    for digest, nanoseconds in context.landing.quarantine_times().items():
        since = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
        found += _held(context, digest, since)
    return [one for one in sorted(found, key=_newest_first) if settled or not one.settled]


def _newest_first(entry: QuarantinedRows) -> tuple[float, str, int, str, str]:
    return -entry.since.timestamp(), entry.digest, -entry.rows, entry.reason, entry.column


def _held(context: IntakeContext, digest: str, since: datetime) -> Iterator[QuarantinedRows]:
    kept = context.landing.read_quarantine(digest)
    known = context.ledger.about(digest)
    name = known.name if known else kept.name or context.landing.archived_name(digest)
    settled = context.ledger.settled_rows(digest)
    held = partial(QuarantinedRows, digest, showable_name(name), since)
    if kept.reason is not None:
        yield held(kept.reason, 0, settled=settled.everything)
        return
    counts = Counter(
        (row["reason"], row.get("column", ""), settled.holds(row.get("line", "")))
        for row in read_rows(kept.rows or b"")
    )
    for (reason, column, is_settled), rows in counts.items():
        yield held(reason, rows, column, settled=is_settled)


def replay(context: IntakeContext, start: str, mended: bytes | None = None) -> str:
    """Put what is in quarantine under a digest into the landing place; return the file's name.

    `start` is the digest in hexadecimal digits, or enough of its first digits to be unique. A file
    that was refused whole is sent as it was, and leaves quarantine when it is ingested. Refused
    rows are sent as a file of their own with the header of the original, and stay in quarantine.
    `mended` is a copy of their `rows.csv` (UTF-8) in which a person has repaired the column `raw`.
    Rows that are not valid UTF-8 can only be sent mended, because quarantine shows their bytes as
    escapes. Raises NothingToDoError when there is nothing to send.
    """
    landing = context.landing
    digest = _stated_digest(landing, start)
    kept = landing.read_quarantine(digest)
    if kept.name is not None and mended is not None:
        raise NothingToDoError(
            f"{showable_name(kept.name)} was refused whole, so that mended rows alone would leave "
            "its other rows behind: mend the file itself and drop that, or send it again as it is "
            "without --rows when the spec has changed"
        )
    if kept.name is not None:
        return _drop_file(landing, digest)
    held = rows_of(landing, digest)
    rows = _sendable(held, unsettled_rows(context, digest) if mended is None else read_rows(mended))
    if held and mended is None and not unsettled_rows(context, digest):
        raise NothingToDoError(f"all rows of {digest[:_SHOWN]} were mended and taken in before")
    if not rows:
        raise NothingToDoError(
            f"quarantine has no rows of {digest[:_SHOWN]} to send; those with "
            f"{ReasonKind.UNDECODABLE} have to be mended in a copy of its rows.csv: --rows FILE"
        )
    return _drop_rows(context, digest, rows)


def take(context: IntakeContext, start: str) -> str:
    """Send a delivery that waits as suspicious through landing, to be taken in as it is.

    `start` is its digest or the first digits of it. Returns the name of the file in the landing
    place; raises NothingToDoError where no such file waits.
    """
    digest = _stated_digest(context.landing, start)
    kept = context.landing.read_quarantine(digest)
    if kept.name is None or not context.ledger.is_suspicious(digest):
        raise NothingToDoError(
            f"{digest[:_SHOWN]} does not wait as suspicious: `./ratchet quarantine SPEC` says why "
            "it was refused, and `./ratchet replay` has it judged again"
        )
    context.ledger.take(digest)
    return _drop_file(context.landing, digest)


def _stated_digest(landing: Landing, start: str) -> str:
    if not _DIGEST_START.fullmatch(start):
        raise NothingToDoError(
            f"{showable_name(start) or 'nothing'} is not the start of a digest: "
            "`./ratchet quarantine SPEC` lists them"
        )
    return _whole_digest(landing, start)


def _whole_digest(landing: Landing, start: str) -> str:
    digests = [digest for digest in landing.quarantined_digests() if digest.startswith(start)]
    if len(digests) != 1:
        known = [digest[:_SHOWN] for digest in landing.quarantined_digests()]
        near = "" if digests else did_you_mean(start[:_SHOWN], known)
        many = f"{len(digests)} batches begin" if digests else "no batch in quarantine begins"
        raise NothingToDoError(f"{many} with {start}{near}: `./ratchet quarantine SPEC` lists them")
    return digests[0]


def _drop_file(landing: Landing, digest: str) -> str:
    with landing.open_refused(digest) as (name, file):
        new = _new_name(digest, OWN_NAME.sub("", name)[-_NAME_END:])
        landing.drop(new, file)
    return new


def _sendable(
    held: Sequence[dict[str, str]], rows: Sequence[dict[str, str]]
) -> list[dict[str, str]]:
    unreadable = {row["raw"] for row in held if row["reason"] == ReasonKind.UNDECODABLE}
    return [row for row in rows if row["raw"] not in unreadable]


def _drop_rows(context: IntakeContext, digest: str, rows: Sequence[dict[str, str]]) -> str:
    try:
        with context.landing.open_archived(digest) as (original, file):
            raw = _as_they_came(context, original, file, rows)
            file.seek(0)
            table = open_table(file, original, stated_format(context.spec.data))
    except FileNotFoundError as error:
        raise NothingToDoError(
            f"{digest[:_SHOWN]} is still on its way into the lake: let a run bring it to its end, "
            "then replay"
        ) from error
    is_json = table.start is None
    lines = [_with_all(table.columns, text) for text in raw] if is_json else raw
    content = "".join([table.start or "", *(f"{line}\n" for line in lines)]).encode()
    if context.spec.data.encoding != UTF_8:
        content = BOM + content
    new = hashlib.sha256(content).hexdigest()
    # Before it lands: a run may be faster than this process.
    context.ledger.promise(new, digest, {int(row["line"]) for row in rows if _has_line(row)})
    name = _new_name(digest, f"{new[:6]}-{_unpacked(original, is_json=is_json)}")
    context.landing.drop(name, content)
    return name


def _as_they_came(
    context: IntakeContext, original: str, file: BinaryIO, rows: Sequence[dict[str, str]]
) -> list[str]:
    """Return the texts of rows to send.

    A text that quarantine shows with escapes, and that nobody has mended, is read from the
    original file again.
    """
    lines = [int(row["line"]) if "\\" in row["raw"] and _has_line(row) else 0 for row in rows]
    came = raw_texts(file, original, {*lines} - {0}, stated_format(context.spec.data))
    texts = [came.get(line, row["raw"]) for line, row in zip(lines, rows, strict=True)]
    return [
        text if showable_row(text) == row["raw"] else row["raw"]
        for text, row in zip(texts, rows, strict=True)
    ]


def _has_line(row: Mapping[str, str | None]) -> bool:
    return _LINE.fullmatch(row.get("line") or "") is not None


def _with_all(columns: Sequence[str], text: str) -> str:
    """Add the columns that a JSON object lacks, as null: a file's columns come from its objects."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return text
    absent = dict.fromkeys(
        name for name in columns if isinstance(values, dict) and name not in values
    )
    if not absent:
        return text
    # By hand, because a number written anew may have other digits.
    inside = [text.strip()[1:-1]] if values else []
    return f"{{{', '.join([*inside, json.dumps(absent)[1:-1]])}}}"


def _new_name(digest: str, name: str) -> str:
    """Return a name made of the digest, so that no other file in the landing place has it."""
    return f"replay-{digest[:_SHOWN]}-{name}"


def _unpacked(name: str, *, is_json: bool) -> str:
    own = OWN_NAME.sub("", name)
    plain = name_unpacked(own)
    return (f"{plain.rpartition('.')[0]}.jsonl" if is_json else plain)[-_NAME_END:]
