"""Batches that the table had and lost: taken in again from their files, as they were before."""

import logging
import math
from collections.abc import Collection, Sequence

import polars as pl

from include.adapters.landing import Delivery
from include.context.intake_context import IntakeContext
from include.errors import DataFileError

log = logging.getLogger("ratchet")
_KEYS = ["key_high", "key_low"]
_SHOWN, _MOST = 12, 5


def in_order(context: IntakeContext, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return deliveries as they are to be taken in, and make room for those that come again.

    Batches that were in the table before go first, in the order of their commits, so that of equal
    rows the same one stays. A data file that is lost or changed is taken out of the table once
    every batch of its rows has landed again.
    """
    context.lake.require_sound()
    landed = {one.digest for one in deliveries}
    _warn_of_lost(context, lost(context) - landed)
    kept = context.lake.sides.digests()
    again = {one.digest for one in deliveries if one.digest in kept and _is_lacking(context, one)}
    if again:
        _take_out_damaged(context, again)
    order = {digest: context.lake.sides.version(digest) for digest in again}
    return sorted(deliveries, key=lambda item: order.get(item.digest, math.inf))


def lost(context: IntakeContext) -> set[str]:
    """Return the batches that were committed once and that the table knows no more.

    Where no sides were kept, as by version 0.1.0, those with a file in the archive.
    """
    if context.lake.sides.digests():
        return context.lake.repair.lost()
    return set(context.landing.archived_digests()) if context.lake.version() is None else set()


def listed(digests: Collection[str]) -> str:
    """Return some digests, shortened, for a sentence."""
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
            listed(digests),
            context.spec.name,
        )


def _take_out_damaged(context: IntakeContext, landed: Collection[str]) -> None:
    for path, batches in context.lake.repair.damaged().items():
        if batches and batches.issubset(landed):
            log.warning(
                "%s/rows/%s is gone or was changed: it is taken out of the table, and the batches "
                "of its rows are taken in again: %s",
                context.lake.url,
                path,
                ", ".join(sorted(batches)),
            )
            context.lake.repair.take_out([path])


def kept_sides(context: IntakeContext, digest: str) -> pl.DataFrame:
    """Return keys and sides of rows that the table once had and may have lost.

    `digest` is the batch that asks: where it was in the table before, all that is known counts.
    """
    kept = context.lake.sides.digests()
    return context.lake.sides.read(kept if digest in kept else context.lake.repair.lost())


def also_decided(unseen: pl.DataFrame, kept_sides: pl.DataFrame) -> pl.DataFrame:
    """Mark the rows whose side is kept as twins: where they stand is known."""
    known = unseen.with_row_index("row").join(kept_sides, on=_KEYS, how="semi")["row"]
    rows = pl.int_range(unseen.height, eager=True)
    return unseen.with_columns(twin=pl.col("twin") | rows.is_in(known.implode()))
