"""Find out before anything is started why it could not run, and say it in one sentence."""

import ipaddress
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from include.settings import PROJECT, Settings
from include.store.address import local_folder
from stack.environments import require_environments
from stack.errors import StackError


def check(settings: Settings) -> None:
    """Raise StackError with what is wrong: environments, address or ports."""
    require_environments(PROJECT)
    _require_own_servers(settings)
    _require_loopback(settings.host)
    ports = _ports(settings)
    _require_different(ports)
    for variable, port in ports:
        _require_free(settings.host, port, variable)


def make_folders(settings: Settings) -> list[Path]:
    """Make the folders that the components expect; return the landing folder of every spec.

    A bucket needs no folders.
    """
    stems = sorted(spec.stem for spec in settings.specs.glob("*.toml"))
    # What cannot even be shown is the name of no spec; Airflow says so.
    names = [stem for stem in stems if stem.isprintable()]
    root = local_folder(settings.landing)
    landings = [Path(settings.landing_url(name)) for name in names if root is not None]
    roots = [] if root is None else [root]
    own = [settings.home / name for name in ("airflow", "mlflow", "serving", "logs", "stack")]
    for folder in (*own, *roots, *landings):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StackError(
                f"{folder} cannot be made ({error.strerror}): "
                "move it with RATCHET_HOME or RATCHET_LANDING."
            ) from error
    return landings


def _ports(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("RATCHET_AIRFLOW_PORT", settings.airflow_port),
        ("RATCHET_MLFLOW_PORT", settings.mlflow_port),
        ("RATCHET_SERVING_PORT", settings.serving_port),
        ("RATCHET_SERVING_PORT", settings.serving_port + 1),  # gRPC
    ]


def _require_own_servers(settings: Settings) -> None:
    elsewhere = {"RATCHET_MLFLOW_URL": settings.registry, "RATCHET_SERVING_URL": settings.endpoint}
    for variable, url in elsewhere.items():
        if url:
            raise StackError(
                f"{variable} is {url}, but this stack starts servers of its own: unset it."
            )


def _require_loopback(host: str) -> None:
    if host != "localhost" and not _is_loopback(host):
        raise StackError(
            f"RATCHET_HOST is {host}, but everyone who reaches this stack is its admin: it listens "
            "on loopback (127.0.0.1) only. From another machine, use an SSH tunnel."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def _require_different(ports: list[tuple[str, int]]) -> None:
    port, times = Counter(port for _, port in ports).most_common(1)[0]
    if times > 1:
        names = " and ".join(name for name, value in ports if value == port)
        raise StackError(
            f"{names} come to the same port {port}: each needs one of its own, and the endpoint "
            "also the next one, for gRPC."
        )


def _require_free(host: str, port: int, variable: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except (OSError, OverflowError) as error:
            raise StackError(
                f"Port {port} {_why(port, error)}: end that process, "
                f"or take another port with {variable}=NUMBER."
            ) from error


def _why(port: int, error: OSError | OverflowError) -> str:
    try:
        holders = [one for one in psutil.net_connections("tcp") if _listens(one, port)]
        if holders and holders[0].pid:
            process = psutil.Process(holders[0].pid)
            return f"is taken by {process.name()} (pid {process.pid})"
    except psutil.Error:
        pass  # the system tells only the owner, or the holder has just ended
    return f"cannot be used ({error})"


def _listens(connection: Any, port: int) -> bool:
    local = connection.laddr
    return connection.status == psutil.CONN_LISTEN and bool(local) and local.port == port
