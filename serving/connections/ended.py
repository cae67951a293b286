"""Logs why the server ended connections, in one line a minute at most.

Anybody can make the server end a connection, so one line for each would let anybody fill a disk.
"""

import logging
from collections import Counter

LOG = logging.getLogger("serving.connections")
TELL_SECONDS = 60.0


class EndedConnections:
    """Counts the connections that the server has ended, by reason."""

    def __init__(self, now: float) -> None:
        """`now` is the present time in seconds of any clock, the one that `tell` gets too."""
        self._reasons: Counter[str] = Counter()
        self._since = now
        self._due = now

    def count(self, reason: str) -> None:
        """Count one ended connection."""
        self._reasons[reason] += 1

    def tell(self, now: float) -> None:
        """Log and reset the counts, if there are any and the last line is a minute old."""
        if not self._reasons or now < self._due:
            return
        told = ", ".join(f"{number} {reason}" for reason, number in self._reasons.most_common())
        LOG.warning("connections in the last %.0f s: %s", max(1.0, now - self._since), told)
        self._reasons.clear()
        self._since = now
        self._due = now + TELL_SECONDS
