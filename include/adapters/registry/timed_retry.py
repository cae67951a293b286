"""How long a question to MLflow is asked again: by the clock, not by the number of tries.

A server that is down refuses a try at once, and one that hangs takes two minutes for each. Counted
in tries, the same patience would be four minutes with the one and eight hours with the other.
"""

import logging
import time
from typing import Any, Self

from mlflow.utils import request_utils
from urllib3.util import Retry

log = logging.getLogger("ratchet")
LONGEST_SECONDS = 240.0
"""From the first failure of a question to the last time that it is asked."""
_OF_A_STEP = 100
"""A question that may be tried so often is a step's; a person's own is told of otherwise."""


class TimedRetry(Retry):
    """As urllib3's own, with an end by the clock; the log hears in a sentence of what it began."""

    failing_since: float | None = None

    def increment(self, *arguments: Any, **named: Any) -> Self:
        """Return what is left of the patience; raises MaxRetryError when nothing is."""
        left = super().increment(*arguments, **named)
        now = time.monotonic()
        left.failing_since = now if self.failing_since is None else self.failing_since
        if now - left.failing_since >= LONGEST_SECONDS:
            return self.new(total=0).increment(*arguments, **named)
        if self.failing_since is None and (left.total or 0) > _OF_A_STEP:
            log.warning(
                "MLflow does not answer, or with an error, and is asked again for %.0f minutes",
                LONGEST_SECONDS / 60,
            )
        return left


def wait_by_the_clock() -> None:
    """Let MLflow's client wait like this, and leave the telling to the sentence above."""
    request_utils.Retry = TimedRetry  # its sessions are made with this name
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
