"""How many connections there may be and how long each may take, from settings and the system."""

import logging
import resource
from dataclasses import dataclass

from serving.configuration.settings import ConnectionSettings

LOG = logging.getLogger("serving.connections")
MOST_BY_DEFAULT = 4096
FILES_OF_ITS_OWN = 64
"""For listening, logs, models that are opened and the registry that is asked."""
_WANTED_FILES = 2 * MOST_BY_DEFAULT + FILES_OF_ITS_OWN


@dataclass(frozen=True)
class ConnectionLimits:
    """What connections over HTTP may take, in one process."""

    connections: int
    """Open at the same time."""
    client_connections: int
    """Of them, of one client."""
    head_bytes: int
    """Of a request before its body."""
    head_seconds: float
    """From a connection, or from a request's first byte, to the end of its head."""
    body_seconds: float
    """From the end of the head to the end of the body; as long for an answer to be taken."""
    idle_seconds: float
    """Between two requests."""


def connection_limits(settings: ConnectionSettings) -> ConnectionLimits:
    """Return the limits that these settings ask for, within what the system lets be open."""
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
    """Return how many connections fit where so many files may be open.

    Half of what the server's own files leave: gRPC opens its connections by itself.
    """
    return max(1, (files - FILES_OF_ITS_OWN) // 2)


def raised_files() -> int:
    """Raise the limit of open files to what is wanted, where it may be, and return what it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = _number(soft), _number(hard)
    files = max(soft, min(hard, _WANTED_FILES))
    if files > soft:
        hard_as_it_is = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard_as_it_is))
    return files


def _number(limit: int) -> int:
    return _WANTED_FILES if limit == resource.RLIM_INFINITY else limit
