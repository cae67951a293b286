"""Fails its own task when a file was refused as a whole; no other task waits for it. Reads only."""

import logging

from include.context.step_context import StepContext
from include.errors import (
    DeliveryRefusedError,
)
from include.records.data import Batch, Fate, Intake
from include.reports.account import delivery_sentence

log = logging.getLogger("ratchet")


def refusals(context: StepContext, taken_in: Intake) -> list[Batch]:
    """Return the batches that had rows refused; DeliveryRefusedError when a whole file was.

    The other files of the run are trained on all the same.
    """
    refused = [batch for batch in taken_in.batches if batch.fate is Fate.REFUSED]
    if refused:
        raise DeliveryRefusedError(" ".join(map(delivery_sentence, refused)))
    log.info("no delivery of %s was refused whole", context.spec.name)
    return [batch for batch in taken_in.batches if batch.refused]
