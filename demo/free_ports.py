"""Ports of its own for a stack that must run beside any other."""

import socket

_VARIABLES = ("RATCHET_AIRFLOW_PORT", "RATCHET_MLFLOW_PORT", "RATCHET_SERVING_PORT")


def free_ports() -> dict[str, str]:
    """Return settings variables that put each server on a loopback port that is free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in _VARIABLES]
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return dict(zip(_VARIABLES, ports, strict=True))
