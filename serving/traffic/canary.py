"""Decides which requests the canary version answers.

Pure, and the same in every worker, replica and run: a repeated request goes to the same version.
"""

from hashlib import blake2b

_BYTES = 8
_ALL = 1 << (8 * _BYTES)


def goes_to_canary(request_id: str, share: float) -> bool:
    """Return whether a request, by its id, is in the canary's share (0 to 1) of requests."""
    digest = blake2b(request_id.encode(), digest_size=_BYTES).digest()
    return int.from_bytes(digest) < share * _ALL
