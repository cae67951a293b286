"""Records refusals, writes notes to senders, and settles refusals when mended rows arrive.

Refused rows are settled when another delivery with the mended rows has been ingested: a file that
`./ratchet replay` has made of them, or a file of the same name that is clearly the mended one.

When killed: what a delivery will settle is recorded before its commit, and it is settled when the
delivery is archived, which the next run does if this one did not.
"""

import errno
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from include.context.intake_context import IntakeContext
from include.errors import NothingToDoError
from include.records.data import Batch, Fate
from include.records.ledger_state import LandingReading
from include.records.refusal_reasons import Refusal, reason_lines, with_noun
from include.steps.quarantined_rows import rows_of
from include.text.showable import showable_name

log = logging.getLogger("ratchet")
OWN_NAME = re.compile(r"^replay-[0-9a-f]{12}-([0-9a-f]{6}-)?")
"""Matches the beginning of a file's name that `./ratchet replay` has given."""
_IN_THE_WAY = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}
)
_MOST_LISTED = 100
_LONGEST_LISTED = 160
"""Characters of a row that are shown in a note; the line number beside it leads to the rest."""
_SHARE_AGAIN = 0.5
"""A file of the same name counts as the mended one when it repeats this share of the good rows; a
new delivery under the same name repeats none."""


def look(context: IntakeContext) -> LandingReading:
    """Return the files waiting in the landing place, and the unsettled entries of quarantine."""
    return context.landing.look(context.ledger.settled_deliveries())


def note_refusal(context: IntakeContext, batch: Batch, name: str, why: str = "") -> None:
    """Record what was refused of a file, and write a note for its sender.

    `name` is the file's name and `why` the reason of a file that was refused whole.
    """
    known = context.ledger.about(batch.digest)
    # The name of a replay has the end of the file's own: what it was first refused as is whole.
    shown = known.name if known and OWN_NAME.match(name) else OWN_NAME.sub("", name)
    whole = batch.fate is Fate.REFUSED
    refusal = Refusal(batch.digest, shown, batch.read, batch.refused, whole=whole)
    if refusal == known and not whole and not _has_waiting_rows(context, batch.digest):
        # A batch that the table had lost is ingested again, and its bad rows were mended before.
        return
    context.ledger.remember(refusal)
    with _no_note_is_worth_a_file(batch.name, "written"):
        context.notes.write(refusal, _note(context, batch, refusal, why))


def promise(context: IntakeContext, batch: Batch, name: str) -> None:
    """Record, before a file is committed, which refused rows of earlier files it settles."""
    if OWN_NAME.match(name):  # `replay` recorded the promise when it made the file
        return
    for refusal in context.ledger.unsettled_of_name(name):
        if refusal.digest != batch.digest and _brings_again(batch, refusal):
            context.ledger.promise(batch.digest, refusal.digest, None)


def settle(context: IntakeContext, digest: str) -> None:
    """Settle the refusals that an ingested file was recorded to settle, and remove their notes."""
    for of in context.ledger.promises(digest):
        context.ledger.settle(of, digest)
        other = context.ledger.about(of)
        is_settled = context.ledger.settled_rows(of).everything
        if other is not None and (
            is_settled or not (other.whole or _has_waiting_rows(context, of))
        ):
            _close(context, other)
        context.ledger.forget_promise(of, digest)
    own = context.ledger.about(digest)
    if own is not None and not _has_waiting_rows(context, digest):
        _close(context, own)


def unsettled_rows(context: IntakeContext, digest: str) -> list[dict[str, str]]:
    """Return the refused rows of a batch, as dicts, that no other delivery has settled."""
    settled = context.ledger.settled_rows(digest)
    held = rows_of(context.landing, digest)
    return [row for row in held if not settled.holds(row.get("line", ""))]


def _has_waiting_rows(context: IntakeContext, digest: str) -> bool:
    try:
        return bool(unsettled_rows(context, digest))
    except NothingToDoError:  # a person has written into the table itself
        return True


def _close(context: IntakeContext, refusal: Refusal) -> None:
    with _no_note_is_worth_a_file(showable_name(refusal.name), "removed"):
        context.notes.delete(refusal)
    context.ledger.close(refusal)


@contextmanager
def _no_note_is_worth_a_file(name: str, what: str) -> Iterator[None]:
    """Log an error that is about the note's own path, such as a missing right; raise any other."""
    try:
        yield
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        log.warning("%s: the note for its sender cannot be %s: %s", name, what, error.strerror)


def _brings_again(batch: Batch, refusal: Refusal) -> bool:
    """Return whether a file of the same name is the mended one, and not the next delivery."""
    if refusal.whole:
        return True
    good = refusal.read - refusal.refused
    if good and batch.duplicates >= _SHARE_AGAIN * good:
        return True
    return not batch.refused and batch.read == refusal.refused


def _note(context: IntakeContext, batch: Batch, refusal: Refusal, why: str) -> str:
    name, when = showable_name(refusal.name), f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    place = context.landing.quarantine_url(batch.digest)
    if refusal.whole:
        return (
            f"refused the whole of {name} on {when}. No row of it was taken in.\n\n"
            f"Why\n{why}\n\n"
            f"What to do\nMend the file and put it here again, under the same name: not into this "
            f"folder, but into the one above.\n\n{_end(context, place, batch.digest)}"
        )
    good = with_noun(batch.read - batch.refused, "other row")
    return (
        f"refused {batch.refused:,} of {with_noun(batch.read, 'row')} of {name} on {when}. {good} "
        f"went on.\n\nWhy\n{reason_lines(batch.refused_for, batch.other_reasons)}\n\n"
        f"Which rows\n{_rows_of_note(context, batch)}\n\n"
        f"What to do\nMend these rows and put the whole file here again, under the same name: not "
        "into this folder, but into the one above. Rows that went in before are known and do not "
        f"count twice. A file with the header and just these rows, mended, does as well.\n\n"
        f"{_end(context, place, batch.digest)}"
    )


def _rows_of_note(context: IntakeContext, batch: Batch) -> str:
    rows = rows_of(context.landing, batch.digest)
    lines = [
        f"line {row['line']}{_id_of(row)}{', ' * bool(row['column'])}{row['column']}: "
        f"{showable_name(row['raw'], _LONGEST_LISTED)}"
        for row in rows[:_MOST_LISTED]
    ]
    more = len(rows) - len(lines)
    return "\n".join([*lines, f"and {with_noun(more, 'more row')}"] if more else lines)


def _id_of(row: Mapping[str, str]) -> str:
    """Return which row it is, where rows have ids."""
    return f" (id {row['id']})" if row.get("id") else ""


def _end(context: IntakeContext, place: str, digest: str) -> str:
    return (
        "This note goes when the mended file has been taken in. It may be deleted before.\n\n"
        f"For the operators: {place}, ./ratchet quarantine {context.spec.name}. Is the file right "
        "as it is, and the spec was wrong? Then mend the spec and send it again: "
        f"./ratchet replay {context.spec.name} {digest[:12]}"
    )
