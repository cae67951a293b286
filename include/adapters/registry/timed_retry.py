"""Retries requests to MLflow for a fixed time instead of a fixed number of tries.

A server that is down refuses a try at once, while one that hangs takes two minutes for each. The
same number of tries would mean four minutes with the first and eight hours with the second.
"""

import logging
import time
from typing import Any, Self

from mlflow.utils import request_utils
from urllib3.util import Retry

log = logging.getLogger("ratchet")
LONGEST_SECONDS = 240.0
"""Seconds from the first failure of a request to its last try."""
_OF_A_STEP = 100
"""A request with at least so many tries is a step's; commands report their failures themselves."""


class TimedRetry(Retry):
    """urllib3's Retry with a time limit; the first retry of a request is logged."""

    failing_since: float | None = None

    def increment(self, *arguments: Any, **named: Any) -> Self:
        """Return the retry state after a failure; MaxRetryError when the time is over."""
        left = super().increment(*arguments, **named)
        now = time.monotonic()
        left.failing_since = now if self.failing_since is None else self.failing_since
        if now - left.failing_since >= LONGEST_SECONDS:
            return self.new(total=0).increment(*arguments, **named)
        if self.failing_since is None and (left.total or 0) > _OF_A_STEP:
            log.warning(
                "MLflow did not answer, or with an error; asked again, for %.0f minutes at most",
                LONGEST_SECONDS / 60,
            )
        return left


def wait_by_the_clock() -> None:
    """Make MLflow's client use TimedRetry, and silence urllib3's own warnings about retries."""
    request_utils.Retry = TimedRetry  # its sessions are made with this name
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
