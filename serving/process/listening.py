"""Binds ports, alone or shared between workers; a port in use is an error with a sentence."""

import socket

_BACKLOG = 2048


def listen(host: str, port: int, *, is_shared: bool) -> socket.socket:
    """Return a bound socket: listening, or, when shared between workers, to listen when served.

    Raises OSError with a sentence when the port cannot be bound.
    """
    listener = _socket(host)
    if is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _bind(listener, host, port, "SERVING_PORT", listens=not is_shared)
    return listener


def require_free(host: str, port: int, variable: str) -> None:
    """Raise OSError with a sentence when any process listens on a port, also a shared one."""
    if port:
        with _socket(host) as probe:
            _bind(probe, host, port, variable, listens=True)


def _socket(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def _bind(listener: socket.socket, host: str, port: int, variable: str, *, listens: bool) -> None:
    try:
        listener.bind((host, port))
        if listens:
            listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(
            f"{host} port {port} is not to be had ({error.strerror}). Stop what listens there, or "
            f"choose another with SERVING_HOST and {variable}."
        ) from error
