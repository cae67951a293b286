"""What the stack consists of: a declarative list, one entry a process.

The list holds every decision about a component (its command, its environment, what proves it
healthy, when it stops), so the supervisor knows nothing of Airflow, MLflow or the server.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from include.settings import PROJECT, Settings
from stack.airflow_config import airflow_environment

_FOREIGN = ("AIRFLOW", "_AIRFLOW", "MLFLOW_", "_MLFLOW_", "SERVING_", "RATCHET_")
_DATABASE = "airflow-database"


@dataclass(frozen=True)
class Health:
    """Where a component proves that it works."""

    url: str
    """Answers 200 when it does."""
    part: str = ""
    """Its name in Airflow's health report, for components that have no address of their own."""


@dataclass(frozen=True)
class Component:
    """One process of the stack."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    """What it gets beside the inherited environment."""
    health: Health | None = None
    """None: running is all that can be asked of it."""
    once: bool = False
    """It prepares something, ends with 0 and is not started again."""
    after: str = ""
    """The component that has to have ended well before this one starts."""
    wave: int = 0
    """Components of a lower wave are stopped first."""
    grace_seconds: float = 10.0
    """From SIGTERM to SIGKILL."""
    asked_once: bool = False
    """A second SIGTERM would cut short what it is finishing."""


def components(settings: Settings) -> list[Component]:
    """Return the components of the stack that these settings describe."""
    fresh = not _migrated(settings)
    airflow = [_database(settings)] if fresh else []
    after = _DATABASE if fresh else ""
    airflow += [
        _api_server(settings, after),
        _warm_up(settings, after),
        _airflow(settings, "scheduler", after, ("--skip-serve-logs",)),
        _airflow(settings, "dag-processor", after),
        _airflow(settings, "triggerer", after, ("--skip-serve-logs",)),
    ]
    return [*airflow, _mlflow(settings), _serving(settings)]


def note_migrated(settings: Settings) -> None:
    """Record that Airflow's database fits the installed release, so the next start is shorter."""
    _stamp(settings).write_text(version("apache-airflow"))


def inherited_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a caller's environment without what would bend a component.

    Another installation's AIRFLOW_* or MLFLOW_* would override this stack's own; where
    PYTHONDONTWRITEBYTECODE is set, every process compiles every module again.
    """
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_FOREIGN) and name != "PYTHONDONTWRITEBYTECODE"
    }


def _database(settings: Settings) -> Component:
    return Component(
        _DATABASE,
        (sys.executable, "-m", "airflow", "db", "migrate"),
        _environment(settings),
        once=True,
    )


def _api_server(settings: Settings, after: str) -> Component:
    return Component(
        "api-server",
        (sys.executable, "-m", "airflow", "api-server"),
        _environment(settings),
        Health(f"{settings.airflow_url}/api/v2/version"),
        after=after,
        wave=1,
        # After its last answer it spends seconds of CPU on leaving.
        grace_seconds=3.0,
    )


def _warm_up(settings: Settings, after: str) -> Component:
    return Component(
        "airflow-warm-up",
        (sys.executable, "-m", "stack.warm_up"),
        _shared(settings),
        once=True,
        after=after,
    )


def _airflow(
    settings: Settings, name: str, after: str, arguments: tuple[str, ...] = ()
) -> Component:
    environment = _environment(settings)
    if name == "scheduler":
        environment |= _preloaded(settings)
    return Component(
        name,
        (sys.executable, "-m", "airflow", name, *arguments),
        environment,
        Health(f"{settings.airflow_url}/api/v2/monitor/health", name.replace("-", "_")),
        after=after,
    )


def _mlflow(settings: Settings) -> Component:
    folder = settings.home / "mlflow"
    arguments = {
        "--host": settings.host,
        "--port": str(settings.mlflow_port),
        "--workers": "1",
        "--backend-store-uri": f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination": (folder / "artifacts").as_uri(),
    }
    flat = [text for pair in arguments.items() for text in pair]
    return Component(
        "mlflow",
        (sys.executable, "-m", "mlflow", "server", *flat),
        # Jobs serve MLflow's generative features; they cost eight processes and 1.9 GB.
        _environment(settings) | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        Health(f"{settings.registry_url}/health"),
        wave=1,
    )


def _serving(settings: Settings) -> Component:
    return Component(
        "serving",
        (str(PROJECT / ".venv" / "serving" / "bin" / "python"), "-m", "serving"),
        _shared(settings)
        # Keys, limits, workers: what an operator says of the server is no part of the stack.
        | {name: value for name, value in os.environ.items() if name.startswith("SERVING_")}
        | {
            "SERVING_HOST": settings.host,
            "SERVING_PORT": str(settings.serving_port),
            "SERVING_REGISTRY_URL": settings.registry_url,
            "SERVING_HOME": str(settings.home / "serving"),
            "SERVING_POLL_SECONDS": "1",
        },
        Health(f"{settings.serving_url}/v2/health/live"),
        asked_once=True,
    )


def _environment(settings: Settings) -> dict[str, str]:
    return (
        _shared(settings)
        | airflow_environment(settings)
        | {
            "MLFLOW_TRACKING_URI": settings.registry_url,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # Bundles are opened by this project's own opener; MLflow's would run what a file says.
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
            # A task log is no place for two lines of links after every run.
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        }
    )


def _shared(settings: Settings) -> dict[str, str]:
    # A company proxy must not be asked for this machine's own addresses.
    direct = ",".join(filter(None, ("127.0.0.1,localhost", os.environ.get("NO_PROXY"))))
    return settings.environment() | {
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": direct,
        "no_proxy": direct,
        "DO_NOT_TRACK": "1",
    }


def _preloaded(settings: Settings) -> dict[str, str]:
    """Return what makes tasks, which are forks of the scheduler, start with their libraries."""
    return {
        "PYTHONPATH": os.pathsep.join((str(PROJECT / "stack" / "preload"), str(PROJECT))),
        # Several fits run at once: one thread each. It also leaves no thread pool to fork.
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(settings.home / "cache" / "matplotlib"),
    }


def _migrated(settings: Settings) -> bool:
    stamp = _stamp(settings)
    return (
        (stamp.parent / "airflow.db").is_file()
        and stamp.is_file()
        and stamp.read_text() == version("apache-airflow")
    )


def _stamp(settings: Settings) -> Path:
    return settings.home / "airflow" / ".migrated"
