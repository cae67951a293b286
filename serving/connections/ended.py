"""What became of connections that the server ended, in one line a minute at most.

Anybody can make the server end a connection, so a line for each would let anybody fill a disk.
"""

import logging
from collections import Counter

LOG = logging.getLogger("serving.connections")
TELL_SECONDS = 60.0


class Ended:
    """Counts connections that were ended, by the reason."""

    def __init__(self, now: float) -> None:
        """Begin to count, in seconds of any clock."""
        self._reasons: Counter[str] = Counter()
        self._since = now
        self._due = now

    def count(self, reason: str) -> None:
        """Count one."""
        self._reasons[reason] += 1

    def tell(self, now: float) -> None:
        """Log what was counted, if there is anything and a minute is over since the last line."""
        if not self._reasons or now < self._due:
            return
        told = ", ".join(f"{number} {reason}" for reason, number in self._reasons.most_common())
        LOG.warning("connections in the last %.0f s: %s", max(1.0, now - self._since), told)
        self._reasons.clear()
        self._since = now
        self._due = now + TELL_SECONDS
