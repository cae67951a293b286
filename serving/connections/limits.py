"""Limits of connections, from the settings and the system's limit of open files."""

import logging
import resource
from dataclasses import dataclass

from serving.configuration.settings import ConnectionSettings

LOG = logging.getLogger("serving.connections")
MOST_BY_DEFAULT = 4096
FILES_OF_ITS_OWN = 64
"""Open files reserved for ports, logs, models and requests to the registry."""
_WANTED_FILES = 2 * MOST_BY_DEFAULT + FILES_OF_ITS_OWN


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of the HTTP connections of one process."""

    connections: int
    """Connections that may be open at the same time."""
    client_connections: int
    """Connections of one client among them."""
    head_bytes: int
    """Bytes of a request before its body."""
    head_seconds: float
    """Seconds from the connection, or from a request's first byte, to the end of its head."""
    body_seconds: float
    """Seconds from the end of the head to the end of the body, and for the client to read."""
    idle_seconds: float
    """Seconds between two requests."""


def connection_limits(settings: ConnectionSettings) -> ConnectionLimits:
    """Return the limits of the settings, reduced to what the limit of open files allows."""
    possible = connections_within(raised_files())
    wanted = settings.most
    if wanted is not None and wanted > possible:
        LOG.warning(
            "SERVING_CONNECTION_LIMIT is %d and the system lets this process have %d: raise its "
            "limit of open files (ulimit -n)",
            wanted,
            possible,
        )
    connections = min(possible, MOST_BY_DEFAULT if wanted is None else wanted)
    return ConnectionLimits(
        connections,
        settings.most_of_a_client or max(1, connections * 3 // 4),
        settings.head_bytes,
        settings.head_seconds,
        settings.body_seconds,
        settings.idle_seconds,
    )


def connections_within(files: int) -> int:
    """Return how many HTTP connections are possible when `files` files may be open.

    That is half of what remains beside the server's own files; the other half is for gRPC.
    """
    return max(1, (files - FILES_OF_ITS_OWN) // 2)


def raised_files() -> int:
    """Raise the process's limit of open files as far as wanted and allowed; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = _number(soft), _number(hard)
    files = max(soft, min(hard, _WANTED_FILES))
    if files > soft:
        hard_as_it_is = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard_as_it_is))
    return files


def _number(limit: int) -> int:
    return _WANTED_FILES if limit == resource.RLIM_INFINITY else limit
