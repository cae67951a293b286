"""The format of the log, and the request id by which one request is found in it.

Text for people or a JSON object a line for machines (SERVING_LOG). A request that the server failed
on is logged with its id and traceback; one that the caller got wrong is only seen with
SERVING_DEBUG, because callers must not be able to fill a disk.
"""

import json
import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

from serving.configuration.settings import Settings

LOG = logging.getLogger("serving.requests")
REQUEST_ID_HEADER = b"x-request-id"
LONGEST_REQUEST_ID = 128

_CONTEXT = ("request_id", "model", "version")
_LOGGERS = ("serving", "uvicorn", "opentelemetry")
_ESCAPED = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004
    for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F))
}
"""Characters that would begin another line, or control the terminal that shows the log."""
# Unlike a random id for each request it costs next to nothing, and no other process has the prefix.
_PREFIX = os.urandom(6).hex()
_NUMBERS = count(1)


def log_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration of Python's logging that these settings ask for."""
    formatter = {"text": TextLine, "json": JsonLine}[settings.log_format]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter}},
        "handlers": {"err": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {
            name: {
                "handlers": ["err"],
                "level": "DEBUG" if settings.debug and name == "serving" else "INFO",
                "propagate": False,
            }
            for name in _LOGGERS
        },
    }


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id that the caller gave in `x-request-id`, or a new one.

    Taken are 1 to 128 printable ASCII characters without spaces, so that an id can go back in a
    header, into a log line and into a file as it is.
    """
    for name, value in headers:
        if name == REQUEST_ID_HEADER:
            if 0 < len(value) <= LONGEST_REQUEST_ID and value.isascii():
                text = value.decode("ascii")
                if text.isprintable() and " " not in text:
                    return text
            break
    return f"{_PREFIX}-{next(_NUMBERS)}"


def log_failed(request: str, name: str, version: str | None, error: BaseException) -> None:
    """Log that the server failed on a request (5xx), with the traceback."""
    LOG.error("%s: a request failed", name, exc_info=error, extra=_context(request, name, version))


def log_refused(request: str, name: str, status: int, sentence: str) -> None:
    """Log what the caller has to change (4xx), at DEBUG."""
    LOG.debug("%d: %s", status, sentence, extra=_context(request, name, None))


class TextLine(logging.Formatter):
    """Time, level, logger and message, with the request's id where there is one."""

    def __init__(self) -> None:
        """Take no options."""
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Return the line without the traceback, one line whatever names and errors are in it."""
        line = super().formatMessage(record).translate(_ESCAPED)
        request = getattr(record, "request_id", None)
        return f"{line} [{request}]" if request else line


class JsonLine(logging.Formatter):
    """One JSON object a record: time, level, logger, message, and what is known of the request."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback is one field of it."""
        when = datetime.fromtimestamp(record.created, UTC)
        fields = {
            "time": when.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        known = ((name, getattr(record, name, None)) for name in _CONTEXT)
        fields |= {name: value for name, value in known if value}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def _context(request: str, name: str, version: str | None) -> dict[str, str | None]:
    return {"request_id": request, "model": name, "version": version}
