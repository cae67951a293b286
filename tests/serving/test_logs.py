"""The log as people and machines read it, and the id that finds a request in it."""

import io
import json
import logging
import logging.config
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serving.configuration.settings import read_settings
from serving.observing.logs import log_config, log_failed, log_refused, request_id

Configure = Callable[..., io.StringIO]


@pytest.fixture
def configure() -> Iterator[Configure]:
    """Return a function that sets the log up as the server does and returns what it writes to."""
    loggers = [logging.getLogger(name) for name in ("serving", "uvicorn", "opentelemetry")]
    before = [(one.handlers[:], one.level, one.propagate) for one in loggers]

    def configured(**said: str) -> io.StringIO:
        written = io.StringIO()
        config = log_config(read_settings(said))
        config["handlers"]["err"]["stream"] = written
        logging.config.dictConfig(config)
        return written

    yield configured
    for one, (handlers, level, propagates) in zip(loggers, before, strict=True):
        one.handlers[:], one.propagate = handlers, propagates
        one.setLevel(level)


def failing() -> ValueError:
    """Return an error that was really raised, so that it has a traceback."""
    try:
        int("no such thing")
    except ValueError as error:
        return error
    raise AssertionError


def test_a_failed_request_is_a_json_line_with_its_traceback(configure: Configure) -> None:
    """Id, model and version are fields, and the traceback stays on the one line."""
    written = configure(SERVING_LOG="json")
    log_failed("abc", "boxes", "3", failing())
    line: dict[str, Any] = json.loads(written.getvalue())
    assert (line["level"], line["logger"]) == ("ERROR", "serving.requests")
    assert (line["request_id"], line["model"], line["version"]) == ("abc", "boxes", "3")
    assert line["traceback"].endswith("'no such thing'")
    assert line["time"].endswith("+00:00")
    assert written.getvalue().count("\n") == 1


def test_a_failed_request_is_found_in_text_by_its_id(configure: Configure) -> None:
    """The id stands at the end of the line and the traceback below."""
    written = configure()
    log_failed("abc", "boxes", "3", failing())
    first, *rest = written.getvalue().splitlines()
    assert first.endswith("serving.requests: boxes: a request failed [abc]")
    assert rest[-1].endswith("'no such thing'")


def test_a_name_with_line_breaks_stays_in_its_line(configure: Configure) -> None:
    """Whoever names a model writes no line of the log, and commands no terminal."""
    written = configure()
    name = "boxes\n2026-01-01 INFO serving: all is well\x1b[2J\u2028"
    log_failed("abc", name, "1", ValueError("wood"))
    (first, *traceback) = written.getvalue().splitlines()
    assert r"boxes\x0a2026-01-01 INFO serving: all is well\x1b[2J\u2028: a request" in first
    assert traceback[-1] == "ValueError: wood"


@pytest.mark.parametrize("kind", ["text", "json"])
def test_what_callers_got_wrong_fills_no_disk(configure: Configure, kind: str) -> None:
    """A refused request is logged only when somebody asked for it."""
    written = configure(SERVING_LOG=kind)
    log_refused("abc", "boxes", 400, "the body is no JSON")
    assert written.getvalue() == ""
    written = configure(SERVING_LOG=kind, SERVING_DEBUG="true")
    log_refused("abc", "boxes", 400, "the body is no JSON")
    assert "the body is no JSON" in written.getvalue()
    assert "abc" in written.getvalue()


@pytest.mark.parametrize("given", ["a", "7f3b-9", "x" * 128, "!~"])
def test_a_sane_id_of_the_caller_is_kept(given: str) -> None:
    """So that one id follows a request through every system."""
    assert request_id([(b"host", b"x"), (b"x-request-id", given.encode())]) == given


@pytest.mark.parametrize(
    "given", [b"", b"x" * 129, b"a b", b"a\tb", b"a\x7f", b"a\r\nset-cookie: b", b"\xc3\xa9"]
)
def test_any_other_is_replaced(given: bytes) -> None:
    """Nothing goes into logs, headers and files that could break them."""
    made = request_id([(b"x-request-id", given)])
    assert made.isascii()
    assert 0 < len(made) < 40
    assert made.encode() != given


def test_made_ids_are_all_different() -> None:
    """Each request can be told from every other."""
    assert len({request_id([]) for _ in range(1000)}) == 1000
