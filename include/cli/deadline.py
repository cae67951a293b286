"""Ends a command within seconds when a server or folder that it needs does not respond.

The client libraries retry for minutes, each with options of its own. That is right for a nightly
step and wrong for a person who waits. So a second thread checks the places that the command needs,
before it starts and while it runs, and interrupts the command with a message when one does not
respond any more. A command may be interrupted at any instruction, as a step may.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from include.context.places import Place, is_about_a_server, said_by_a_library
from include.errors import AwayError, RatchetError
from include.text.showable import showable

_PAUSE_SECONDS = 1.0
_GRACE_SECONDS = 2.0
"""Time that an interrupted command gets to clean up before the process is ended."""
LOOKS = 6
"""A command that only reads, and a source that responds, may take so many times the patience."""
_SIGNAL = signal.SIGUSR1


class _Lost(BaseException):
    """Raised in the command's thread; a BaseException, so that no library catches and retries."""


@contextmanager
def place_must_answer(
    places: Sequence[Place], patience: float, *, may_take_long: bool
) -> Iterator[None]:
    """Raise AwayError when a place does not respond, at the start or while the block runs.

    A place that fails at the start is not waited for; one that fails later is, for `patience`
    seconds. Unless `may_take_long`, the block also ends after `LOOKS` times the patience although
    all places respond. An error of the block becomes AwayError when a place does not respond.
    """
    _require(places, patience)
    guard = _Guard(places, patience, None if may_take_long else LOOKS * patience)
    try:
        with guard.watching():
            yield
    except _Lost:
        raise AwayError(guard.sentence) from None
    except Exception as error:
        # A sentence of ours that came from no other failure is about something else.
        if not isinstance(error, RatchetError) or error.__cause__ is not None:
            _require(places, patience)
        _tell(places, error)
        raise


@contextmanager
def blame_the_place(places: Sequence[Place], patience: float) -> Iterator[None]:
    """Raise AwayError when the block fails with an error of a client library of a place.

    For a step, whose libraries have retried for long before. Places are checked only after an
    error.
    """
    try:
        yield
    except Exception as error:
        if is_about_a_server(error):
            _require(places, patience)
            _tell(places, error)
        raise


def _require(places: Sequence[Place], patience: float) -> None:
    """Check all places in parallel; AwayError with those that do not respond."""
    with ThreadPoolExecutor(max_workers=max(1, len(places))) as pool:
        problems = list(pool.map(lambda place: place.problem(patience), places))
    told = [place.sentence(why) for place, why in zip(places, problems, strict=True) if why]
    if told:
        raise AwayError("; ".join(told))


def _tell(places: Sequence[Place], error: Exception) -> None:
    """Raise AwayError when a client library failed although every place responds to the check."""
    words = "" if isinstance(error, RatchetError) else said_by_a_library(error)
    if words:
        names = " and ".join(one.name for one in places)
        raise AwayError(
            f"{names}: there was an answer, but not to all that was asked: {words}. Try again, "
            "and look at the log there"
        ) from error


class _Guard:
    """Checks places while a block runs, and interrupts the block when one stops responding."""

    def __init__(self, places: Sequence[Place], patience: float, longest: float | None) -> None:
        self.sentence = ""
        self._places = places
        self._patience = patience
        self._longest = longest
        self._over = threading.Event()
        self._telling = threading.Lock()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Raise _Lost in the block, in the main thread, when a place stops responding."""
        before = signal.signal(_SIGNAL, self._raise)
        threads = [threading.Thread(target=self._ask, args=(one,)) for one in self._places]
        threads.append(threading.Thread(target=self._count))
        for thread in threads:
            thread.daemon = True
            thread.start()
        try:
            yield
        finally:
            with self._telling:
                self._over.set()
            signal.signal(_SIGNAL, before)

    def _ask(self, place: Place) -> None:
        """Check a place repeatedly; end the block when checks have failed for the patience.

        A single failed check is no evidence: it also fails when a person suspends the command with
        Ctrl-Z for longer than the time limit.
        """
        failing_since, failed = 0.0, 0
        while not self._over.wait(_PAUSE_SECONDS):
            began = time.monotonic()
            problem = place.problem(self._patience / 2)
            failing_since = failing_since if failed else began
            failed = failed + 1 if problem else 0
            if failed > 1 and time.monotonic() - failing_since >= self._patience:
                self._end(place.sentence(problem))
                return

    def _count(self) -> None:
        if self._longest is not None and not self._over.wait(self._longest):
            names = ", ".join(one.name for one in self._places)
            self._end(
                f"this was not done within {self._longest:g} s, although an answer comes from "
                f"{names}: they or this machine are busy, so try again later, or with a larger "
                "RATCHET_PATIENCE"
            )

    def _end(self, sentence: str) -> None:
        with self._telling:
            if self._over.is_set() or self.sentence:
                return
            self.sentence = sentence
            signal.pthread_kill(threading.main_thread().ident or 0, _SIGNAL)
        if not self._over.wait(_GRACE_SECONDS):  # a library in C does not hear it
            sys.stderr.write(f"{showable(sentence)}\n")
            sys.stderr.flush()
            os._exit(1)

    def _raise(self, *_: object) -> None:
        if not self._over.is_set():
            raise _Lost
