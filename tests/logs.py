"""What was logged in a test by what is under test.

A thread that an earlier test left behind may log a warning at any moment, and it is no part of this
test. Of other loggers the records of the test's own thread count, so that nothing is overlooked:
asyncio tells there of an exception that nobody took.
"""

import logging
import threading

import pytest


def records_of(caplog: pytest.LogCaptureFixture, logger: str) -> list[logging.LogRecord]:
    """Return the records of a logger and those below it, and of this thread, the oldest first."""
    here = threading.get_ident()
    return [
        one
        for one in caplog.records
        if one.thread == here or f"{one.name}.".startswith(f"{logger}.")
    ]


def messages_of(caplog: pytest.LogCaptureFixture, logger: str) -> list[str]:
    """Return the sentences of `records_of`."""
    return [one.getMessage() for one in records_of(caplog, logger)]


def warnings_of(caplog: pytest.LogCaptureFixture, logger: str) -> list[str]:
    """Return those of `messages_of` that a person is meant to look at."""
    return [
        record.getMessage()
        for record in records_of(caplog, logger)
        if record.levelno >= logging.WARNING
    ]
