"""What one logger said in a test.

A thread that an earlier test left behind may log a warning at any moment: what is asked of all
records is asked of those of the module under test alone.
"""

import logging

import pytest


def records_of(caplog: pytest.LogCaptureFixture, logger: str) -> list[logging.LogRecord]:
    """Return the records of a logger and of those below it, the oldest first."""
    return [one for one in caplog.records if f"{one.name}.".startswith(f"{logger}.")]


def messages_of(caplog: pytest.LogCaptureFixture, logger: str) -> list[str]:
    """Return the sentences of a logger and of those below it, the oldest first."""
    return [one.getMessage() for one in records_of(caplog, logger)]
