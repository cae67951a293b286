import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.adapters.lake.table_commits import TableCommits
from include.adapters.landing import Landing
from include.spec.model_spec import Spec
from tests.faults import history
from tests.seaweed import Seaweed, seaweed
from tests.suite_profile import PROFILE

AWAY_SECONDS = PROFILE.bucket_away_seconds
PATIENCE_SECONDS = 120 + 3 * AWAY_SECONDS
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["tests.faults.history"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """Return a server of these tests alone, because they take it away."""
    with seaweed(tmp_path_factory.mktemp("away")) as server:
        yield server


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, spec: Spec) -> dict[str, Any]:
    """Return the state after a history on the disk in which nothing fails."""
    home = tmp_path_factory.mktemp("undisturbed")
    history.lay_out(home, spec)
    history.take_in(home, spec, None, again=False)
    return history.state(home, spec)


MOMENTS: dict[str, tuple[type, str, bool]] = {
    "before the first entry of the log is written": (TableCommits, "_create", True),
    "when that is written": (TableCommits, "_create", False),
    "before a committed file is archived": (Landing, "archive", True),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_away_in_the_middle_of_a_commit(
    undisturbed: dict[str, Any], server: Seaweed, tmp_path: Path, spec: Spec, moment: str
) -> None:
    """The server is killed and comes back: the run waits for it and ends as if it had stayed."""
    _lay_out(server, tmp_path, spec)
    door, name, before = MOMENTS[moment]
    outage = _Outage(server, getattr(door, name), before=before)
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, name, outage.around)
        history.take_in(tmp_path, spec, None, again=False)
    outage.end()
    assert time.monotonic() - began > AWAY_SECONDS
    assert history.state(tmp_path, spec) == undisturbed


def test_away_at_any_instant(
    undisturbed: dict[str, Any], server: Seaweed, tmp_path: Path, spec: Spec
) -> None:
    """Wherever the run is then, also with a request half answered."""
    chance = random.Random(5)
    span = 0.0
    for number in range(1 + PROFILE.bucket_outages):
        home = tmp_path / str(number)
        _lay_out(server, home, spec)
        process, began = _start(home, spec, None), time.monotonic()
        if number:
            time.sleep(chance.uniform(0.2, 1) * span)
            server.stop()
            time.sleep(AWAY_SECONDS)
            server.start()
        assert _finish(process) == 0
        span = span or time.monotonic() - began
        assert history.state(home, spec) == undisturbed, f"instant {number}"


def test_killed_with_everything_in_the_bucket(
    undisturbed: dict[str, Any], server: Seaweed, tmp_path: Path, spec: Spec
) -> None:
    """Killed before or after a call to landing or lake, then run on: the same end."""
    die_at, killed = 0, True
    while killed:
        die_at += PROFILE.bucket_kill_stride
        home = tmp_path / str(die_at)
        _lay_out(server, home, spec)
        killed = _finish(_start(home, spec, die_at)) != 0
        assert _finish(_start(home, spec, None)) == 0
        assert history.state(home, spec) == undisturbed, f"killed at call {die_at}"
    assert die_at > 200


class _Outage:
    """The first call of a function sees the server killed; a timer brings it back."""

    def __init__(self, server: Seaweed, work: Callable[..., Any], *, before: bool) -> None:
        self._server, self._work, self._before = server, work, before
        self._back: threading.Timer | None = None

    @property
    def around(self) -> Callable[..., Any]:
        """Return the function to put in place of the one that was given."""

        def called(*arguments: Any, **named: Any) -> Any:
            if self._before:
                self._begin()
            result = self._work(*arguments, **named)
            self._begin()
            return result

        return called

    def end(self) -> None:
        """Wait until the server is back."""
        assert self._back is not None
        self._back.join()

    def _begin(self) -> None:
        if self._back is None:
            self._server.stop()
            self._back = threading.Timer(AWAY_SECONDS, self._server.start)
            self._back.start()


def _lay_out(server: Seaweed, home: Path, spec: Spec) -> None:
    place = server.fresh()
    where = {"RATCHET_LANDING": f"{place.url}/landing", "RATCHET_LAKE": f"{place.url}/lake"}
    history.lay_out(home, spec, {**where, **place.options})


def _start(home: Path, spec: Spec, die_at: int | None) -> Any:
    process = FORK.Process(
        target=history.take_in, args=(home, spec, die_at), kwargs={"again": False}
    )
    process.start()
    return process


def _finish(process: Any) -> int:
    process.join(PATIENCE_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        pytest.fail("a run did not end")
    return int(process.exitcode)
