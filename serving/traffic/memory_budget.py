"""How much memory all requests together may hold before they are answered, over REST and gRPC."""

from serving.refusals import RequestRefusedError


class MemoryBudget:
    """Counts the bytes of bodies and messages that are held, and refuses what would be too much.

    One budget a process: a caller of one way in must not fill the memory that the other needs.
    It is used from the event loop alone, so it has no lock.
    """

    def __init__(self, limit_bytes: int) -> None:
        """Hold nothing yet; `limit_bytes` is for all requests together."""
        self._limit = limit_bytes
        self._held = 0

    @property
    def held_bytes(self) -> int:
        """Bytes that are held now."""
        return self._held

    def reserve(self, size: int) -> None:
        """Count `size` more bytes as held; RequestRefusedError 429, counting none, if too many."""
        if self._held + size > self._limit:
            raise RequestRefusedError(
                429, "too many large requests are coming in at once; ask again in a second"
            )
        self._held += size

    def release(self, size: int) -> None:
        """Give back `size` bytes that were reserved."""
        self._held -= size


class Reservation:
    """What one request holds of a budget until it is answered."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: MemoryBudget) -> None:
        """Hold nothing yet."""
        self._budget = budget
        self._size = 0

    def grow(self, size: int) -> None:
        """Hold `size` bytes more; RequestRefusedError 429, holding none of them, if too many."""
        self._budget.reserve(size)
        self._size += size

    def release(self, size: int | None = None) -> None:
        """Give `size` bytes back, or all of them."""
        given = self._size if size is None else size
        self._budget.release(given)
        self._size -= given
