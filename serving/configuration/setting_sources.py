"""The environment and MLServer's files, asked together."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from serving.configuration import setting_values as values
from serving.configuration.mlserver_files import MLServerFiles

_Value = TypeVar("_Value")


class SettingSources:
    """What somebody said, and where, so that an error can name the place."""

    def __init__(self, env: Mapping[str, str], files: MLServerFiles) -> None:
        """Ask the environment first."""
        self._env = env
        self._files = files

    def text(self, name: str) -> str | None:
        """Return what the environment or else a file says; empty says nothing."""
        return self._env.get(name) or self._files.server.get(name) or None

    def value(self, name: str, default: str, read: Callable[[str], _Value]) -> _Value:
        """Return a setting as `read` reads it; `default` where nothing is said."""
        text = self.text(name)
        return values.read_value(self._place(name), default if text is None else text, read)

    def optional(self, name: str, read: Callable[[str], _Value]) -> _Value | None:
        """Return a setting as `read` reads it; None where nothing is said."""
        text = self.text(name)
        return None if text is None else values.read_value(self._place(name), text, read)

    def in_environment(self, name: str) -> str | None:
        """Return what the environment alone says."""
        return self._env.get(name) or None

    def _place(self, name: str) -> str:
        return name if self._env.get(name) else self._files.places.get(name, name)
