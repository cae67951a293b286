"""Puts batches that the table has lost back into it, on the sides that they had before.

When killed: a damaged data file is still in the table or is not, and the next run continues with
the files that are still claimed.
"""

import logging
import math
from collections.abc import Collection, Sequence

import polars as pl

from include.adapters.landing import Delivery
from include.context.intake_context import IntakeContext
from include.errors import DataFileError
from include.records.row_columns import KEYS

log = logging.getLogger("ratchet")
_SHOWN, _MOST = 12, 5


def in_order(context: IntakeContext, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return deliveries in the order of ingestion; remove damaged data files that they replace.

    Batches that were in the table before come first, in the order of their first commits, so that
    of equal rows the same one is kept. A data file that is lost or changed is removed from the
    table once every batch with rows in it has landed again. Raises TableRefusedError when the
    table's log cannot be relied on.
    """
    context.lake.require_sound()
    landed = {delivery.digest for delivery in deliveries}
    _warn_of_lost(context, lost_digests(context) - landed)
    known = context.lake.sides.digests()
    again = {
        delivery.digest
        for delivery in deliveries
        if delivery.digest in known and _is_lacking(context, delivery)
    }
    if again:
        _take_out_damaged(context, again)
    order = {digest: context.lake.sides.version(digest) for digest in again}
    return sorted(deliveries, key=lambda item: order.get(item.digest, math.inf))


def lost_digests(context: IntakeContext) -> set[str]:
    """Return the digests of batches that were committed once and are no longer in the table's log.

    Version 0.1.0 wrote no sides; there they are the archived batches, if the table is gone.
    """
    if context.lake.sides.digests():
        return context.lake.repair.lost()
    return set(context.landing.archived_digests()) if context.lake.version() is None else set()


def few_digests(digests: Collection[str]) -> str:
    """Return the first five digests, 12 digits each, and the number of others, for a sentence."""
    shown = [digest[:_SHOWN] for digest in sorted(digests)[:_MOST]]
    rest = len(digests) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _is_lacking(context: IntakeContext, delivery: Delivery) -> bool:
    try:
        return not context.lake.holds(delivery.digest)
    except DataFileError:
        return True


def _warn_of_lost(context: IntakeContext, digests: Collection[str]) -> None:
    if digests:
        log.warning(
            "the table %s/rows lacks %d batches that were ingested before, %s: bring their files "
            "back from the archive: ./ratchet recover %s --yes",
            context.lake.url,
            len(digests),
            few_digests(digests),
            context.spec.name,
        )


def _take_out_damaged(context: IntakeContext, landed: Collection[str]) -> None:
    for path, batches in context.lake.repair.damaged_files().items():
        if batches and batches.issubset(landed):
            log.warning(
                "%s/rows/%s is gone or was changed: it is taken out of the table, and the batches "
                "of its rows are taken in again: %s",
                context.lake.url,
                path,
                ", ".join(sorted(batches)),
            )
            context.lake.repair.take_out([path])


class KeptSides:
    """The sides of rows that the table once had and may have lost."""

    def __init__(self, context: IntakeContext) -> None:
        """Look which batches have stored sides, and which of these the table lacks."""
        self._sides = context.lake.sides
        self._known = self._sides.digests()
        self._of_lost = self._sides.read(context.lake.repair.lost())

    def of(self, digest: str) -> pl.DataFrame:
        """Return `key_high`, `key_low` and `side` of the rows that a batch may meet again.

        For a batch that was in the table before, the sides of every batch are returned; for any
        other batch only those of the lost batches.
        """
        return self._sides.read(self._known) if digest in self._known else self._of_lost


def also_decided(unseen: pl.DataFrame, kept_sides: pl.DataFrame) -> pl.DataFrame:
    """Return `unseen` with `twin` set for rows whose key has a stored side, which they keep."""
    known = unseen.with_row_index("row").join(kept_sides, on=KEYS, how="semi")["row"]
    rows = pl.int_range(unseen.height, eager=True)
    return unseen.with_columns(twin=pl.col("twin") | rows.is_in(known.implode()))
