"""A home of its own for every test, with the real supervisor and nothing left behind."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.settings import Settings, read_settings
from stack.client import SupervisedStack, supervised_stack
from stack.components import Component
from stack.processes import sweep
from stack.state import take_lock
from tests.stack.standins import Held, variables


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Give a home and leave no process in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    yield folder
    sweep(folder)


@pytest.fixture
def held(home: Path) -> Held:
    """Hold components in the home for the length of a `with`."""

    @contextlib.contextmanager
    def hold(*parts: Component) -> Iterator[SupervisedStack]:
        lock = take_lock(home)
        try:
            with supervised_stack(home, parts, {}, lock) as stack:
                yield stack
        finally:
            os.close(lock)

    return hold


@pytest.fixture
def settings(home: Path) -> Settings:
    """Give settings with this home and ports that are free."""
    return read_settings(variables(home))
