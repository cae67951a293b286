"""Where a lake lies, in the words of the two libraries that read and write it by themselves.

Both are told to wait for an S3 server that is away for a while, each in options of its own.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

Options = Mapping[str, str]
_PATIENCE = 90
_RETRIES = 1000


def local_folder(url: str) -> Path | None:
    """Return the folder that a path or file URL names, None for a bucket."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in url else Path(url).absolute()


def for_delta(options: Options) -> dict[str, str]:
    """Return the options of deltalake."""
    return dict(options) | {
        "max_retries": str(_RETRIES),
        "retry_timeout": f"{_PATIENCE}s",
        "backoff_config.init_backoff": "100ms",
        "backoff_config.max_backoff": "2s",
    }


def for_polars(options: Options) -> dict[str, str | int]:
    """Return the options of a polars scan."""
    return dict(options) | {
        "max_retries": _RETRIES,
        "retry_timeout_ms": 1000 * _PATIENCE,
        "retry_init_backoff_ms": 100,
        "retry_max_backoff_ms": 2000,
    }
