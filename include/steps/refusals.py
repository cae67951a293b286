"""A delivery that was refused whole is an error of its own task; nothing waits for it."""

import logging

from include.context.step_context import StepContext
from include.errors import (
    DeliveryRefusedError,
)
from include.records.data import Batch, Fate, Intake
from include.reports.account import told

log = logging.getLogger("ratchet")


def refusals(context: StepContext, taken_in: Intake) -> list[Batch]:
    """Raise DeliveryRefusedError when a delivery was refused whole; return those that lost rows.

    Nothing waits for this: what else came is trained on.
    """
    refused = [batch for batch in taken_in.batches if batch.fate is Fate.REFUSED]
    if refused:
        raise DeliveryRefusedError(" ".join(map(told, refused)))
    log.info("no delivery of %s was refused whole", context.spec.name)
    return [batch for batch in taken_in.batches if batch.refused]
