"""Log lines about a delivery: one sentence, and a warning where rows were refused."""

import logging

from include.records.data import Batch, Fate
from include.records.refusal_reasons import sentence, with_noun

log = logging.getLogger("ratchet")


def log_ending(batch: Batch) -> Batch:
    """Log why a file as a whole goes no further."""
    level = logging.INFO if batch.fate is Fate.KNOWN else logging.WARNING
    log.log(level, "%s: %s", batch.name, batch.note)
    return batch


def log_counts(batch: Batch) -> Batch:
    """Log the counts of a file so far."""
    parts = [with_noun(batch.read, "row") + " read"]
    parts += [f"{batch.new:,} new", f"{batch.duplicates:,} repeated"] * bool(
        batch.new or batch.duplicates or batch.corrections
    )
    parts += [f"{batch.corrections:,} corrected"] * bool(batch.corrections)
    parts += [f"{batch.refused:,} refused"] * bool(batch.refused)
    parts += [f"columns that are not known and not read: {', '.join(batch.extra)}"] * bool(
        batch.extra
    )
    parts += [
        f"{with_noun(rows, 'row')} beyond what the first batch had in {name}"
        for name, rows in batch.outside.items()
    ]
    where = "" if batch.committed is None else f"; in the table as of version {batch.committed}"
    log.info("%s: %s%s", batch.name, ", ".join(parts), where)
    return batch


def log_refused_rows(batch: Batch, spec: str, allowed: float) -> None:
    """Warn of refused rows where the other rows of their file go on."""
    if not batch.refused or batch.fate is not Fate.GOES_ON:
        return
    share = batch.refused / batch.read
    bound = ", as many as the spec still allows," if share == allowed else ""
    log.warning(
        "%s: %s of %s (%s)%s are refused and wait in quarantine, the others go on. %s. To mend "
        "them: ./ratchet quarantine %s",
        batch.name,
        f"{batch.refused:,}",
        with_noun(batch.read, "row"),
        f"{share:.1%}" if share >= 0.001 else "less than 0.1%",  # noqa: PLR2004 - a digit
        bound,
        sentence(batch.refused_for, batch.other_reasons),
        spec,
    )
