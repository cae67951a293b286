"""Options for deltalake and polars, the two libraries that access a lake by themselves.

Both are configured to retry for a while when an S3 server does not respond.
"""

from collections.abc import Mapping

Options = Mapping[str, str]
_PATIENCE = 90
_RETRIES = 1000


def for_delta(options: Options) -> dict[str, str]:
    """Return the storage options for deltalake."""
    return dict(options) | {
        "max_retries": str(_RETRIES),
        "retry_timeout": f"{_PATIENCE}s",
        "backoff_config.init_backoff": "100ms",
        "backoff_config.max_backoff": "2s",
    }


def for_polars(options: Options) -> dict[str, str | int]:
    """Return the storage options for a polars scan."""
    return dict(options) | {
        "max_retries": _RETRIES,
        "retry_timeout_ms": 1000 * _PATIENCE,
        "retry_init_backoff_ms": 100,
        "retry_max_backoff_ms": 2000,
    }
