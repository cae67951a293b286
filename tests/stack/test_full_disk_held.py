"""A supervisor whose own writes fail, as on a full disk, holds on to what it holds."""

import os
import signal
from pathlib import Path

from stack.own_log import OwnLog
from tests.stack.standins import SLEEP, Held, component, pids, restarts, until


def test_what_dies_on_a_full_disk_is_started_again(held: Held, home: Path) -> None:
    """The state file cannot be written meanwhile; it is as soon as that is possible."""
    with held(component("one", SLEEP), component("other", SLEEP)) as stack:
        others = pids(home, "other")
        draft = home / "stack" / "state.draft"
        draft.mkdir()
        (victim,) = pids(home, "one")
        os.kill(victim, signal.SIGKILL)
        assert until(lambda: len(pids(home, "one") - {victim}) == 1)
        assert pids(home, "other") == others
        assert stack.supervisor.poll() is None
        assert restarts(home, "one") == 0
        draft.rmdir()
        assert until(lambda: restarts(home, "one") == 1, seconds=15)
    said = (home / "logs" / "supervisor.log").read_text()
    assert said.count("what `make status` reads cannot be written") == 1
    assert said.count("what `make status` reads is written again") == 1


def test_what_a_full_disk_did_not_take_is_said_later() -> None:
    """In its order, and nothing twice."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = 0
    try:
        while True:
            filled += os.write(writer, b"x" * 4096)
    except BlockingIOError:
        log = OwnLog(writer)
    log.say("first")
    log.say("second")
    while filled:
        filled -= len(os.read(reader, filled))
    log.write_waiting()
    lines = os.read(reader, 4096).decode().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["first", "second"]
    os.close(reader)
    os.close(writer)
