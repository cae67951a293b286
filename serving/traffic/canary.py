"""Which requests the canary answers.

Pure and the same in every worker, replica and run: a request that is sent again goes the same way.
"""

from hashlib import blake2b

_BYTES = 8
_ALL = 1 << (8 * _BYTES)


def goes_to_canary(request_id: str, share: float) -> bool:
    """Say whether a request is among the share, 0 to 1, that the canary gets."""
    digest = blake2b(request_id.encode(), digest_size=_BYTES).digest()
    return int.from_bytes(digest) < share * _ALL
