"""The one place of the server that reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where the server listens, what it follows and where it keeps what it downloaded."""

    host: str
    """Address to bind: SERVING_HOST, loopback by default."""
    port: int
    """SERVING_PORT, 8090 by default."""
    registry_url: str
    """The MLflow tracking server: SERVING_REGISTRY_URL."""
    home: Path
    """Folder for downloaded bundles: SERVING_HOME. What is in it survives a restart."""
    poll_seconds: float
    """Pause between two looks at the registry: SERVING_POLL_SECONDS, 1 second by default."""


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; a value that cannot be used raises ValueError with a sentence."""
    env = os.environ if environment is None else environment
    return Settings(
        host=env.get("SERVING_HOST") or "127.0.0.1",
        port=_port(env.get("SERVING_PORT") or "8090"),
        registry_url=(env.get("SERVING_REGISTRY_URL") or "http://127.0.0.1:5000").rstrip("/"),
        home=Path(env.get("SERVING_HOME") or ".ratchet/serving").absolute(),
        poll_seconds=_seconds(env.get("SERVING_POLL_SECONDS") or "1.0"),
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < 2**16):
        raise ValueError(f"SERVING_PORT is {text!r}: it must be a port number, 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        raise ValueError(f"SERVING_POLL_SECONDS is {text!r}: it must be a number above 0")
    return seconds
