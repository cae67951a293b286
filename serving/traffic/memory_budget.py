"""Limits the memory of all requests that are not answered yet, over REST and gRPC together."""

from serving.refusals import RequestRefusedError


class MemoryBudget:
    """Counts the bytes of bodies and messages in memory, and refuses more than the limit.

    REST and gRPC share one budget for each process. It is used on the event loop's thread only and
    needs no lock.
    """

    def __init__(self, limit_bytes: int) -> None:
        """Start empty; `limit_bytes` is the limit for all requests together."""
        self._limit = limit_bytes
        self._held = 0

    @property
    def held_bytes(self) -> int:
        """Bytes that are counted now."""
        return self._held

    def reserve(self, size: int) -> None:
        """Count `size` more bytes; RequestRefusedError 429, with none counted, if too many."""
        if self._held + size > self._limit:
            raise RequestRefusedError(
                429, "too many large requests are coming in at once; ask again in a second"
            )
        self._held += size

    def release(self, size: int) -> None:
        """Stop counting `size` bytes that were reserved."""
        self._held -= size


class Reservation:
    """The bytes of a budget that one request uses until it is answered."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: MemoryBudget) -> None:
        """Start with no bytes of `budget`."""
        self._budget = budget
        self._size = 0

    def grow(self, size: int) -> None:
        """Reserve `size` more bytes; RequestRefusedError 429, with none reserved, if too many."""
        self._budget.reserve(size)
        self._size += size

    def release(self, size: int | None = None) -> None:
        """Release `size` bytes, or all of them when it is None."""
        given = self._size if size is None else size
        self._budget.release(given)
        self._size -= given
