"""Names for what tests start in an engine, and how what a killed run left there is removed.

A name is locked by the process that uses it, in a file that the system unlocks however that process
ends. Whoever starts a stack first removes what is named here and locked by nobody.
"""

import fcntl
import secrets
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

LOCKS = Path(tempfile.gettempdir())
_PREFIX = "ratchet-test-"
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_KINDS = (
    ("ps --all", "rm --force --volumes"),
    ("volume ls", "volume rm --force"),
    ("network ls", "network rm"),
)
"""How each kind of thing is listed and removed, in the order in which nothing is in use."""
Engine = Callable[..., str]
"""Runs a command of the engine and returns what it prints."""


@contextmanager
def own_name(locks: Path = LOCKS) -> Iterator[str]:
    """Give a name to start things under; they are to be gone when the context ends.

    Meanwhile a termination or a hang-up raises KeyboardInterrupt, so that they are taken down.
    """
    name = f"{_PREFIX}{secrets.token_hex(4)}"
    place = locks / f"{name}.lock"
    with place.open("w") as lock, _interrupted_when_ended():
        assert _is_locked(lock)
        yield name
        place.unlink()


def remove_abandoned(engine: Engine, locks: Path = LOCKS) -> list[str]:
    """Remove what killed runs of this machine left, and return the names that it had."""
    removed = []
    for place in sorted(locks.glob(f"{_PREFIX}*.lock")):
        with place.open("a") as lock:
            if _is_locked(lock):
                _remove(engine, place.stem)
                place.unlink()
                removed.append(place.stem)
    return removed


def _remove(engine: Engine, name: str) -> None:
    """Remove a stack or a container of this name."""
    filters = (f"label=com.docker.compose.project={name}", f"name=^/?{name}$")
    for listing, removal in _KINDS:
        for chosen in filters:
            left = engine(*listing.split(), "--quiet", "--filter", chosen).split()
            if left:
                engine(*removal.split(), *left)


def _is_locked(lock: TextIO) -> bool:
    """Lock a file unless another process has; say whether this one has it now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _interrupted_when_ended() -> Iterator[None]:
    before = {number: signal.signal(number, _interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
