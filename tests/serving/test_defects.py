"""What has cost other servers requests, against a real process: nobody pays for a neighbour."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.serving_contenders import ratchet_contender
from benchmarks.serving_defects import (
    Outcome,
    Question,
    busy,
    cancelled_beside,
    ended_in_flight,
    hung_up_beside,
    malformed_beside,
)
from benchmarks.serving_process import batches, start_ratchet
from tests.serving.served import Served, expected, linear, rows, served


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server of two small models."""
    with served(tmp_path_factory.mktemp("served"), linear(1), linear(2)) as one:
        yield one


def test_a_malformed_request_costs_its_neighbours_nothing(serving: Served) -> None:
    """248 good requests are answered, each with its own row's probability, beside 8 bad ones."""
    asked = serving.asked(serving.models["1"], rows(248))
    assert malformed_beside(asked) == Outcome(248, 248)


def test_a_client_that_hangs_up_costs_its_neighbours_nothing(serving: Served) -> None:
    """460 requests are answered beside 20 whose clients reset the connection in mid-flight."""
    asked = serving.asked(serving.models["1"], rows(460))
    assert hung_up_beside(asked) == Outcome(460, 460)


def test_a_cancelled_call_costs_its_neighbours_nothing(serving: Served) -> None:
    """460 gRPC calls are answered beside 20 that are cancelled while they are under way."""
    asked = serving.asked(serving.models["1"], rows(1))
    assert cancelled_beside(asked) == Outcome(460, 460)


def test_batches_are_as_large_after_a_change_of_the_model(serving: Served) -> None:
    """Requests that wait together are predicted together, before and after a swap."""
    for version in ("2", "1"):
        serving.crown(version)
        before = batches(serving.server)
        busy(serving.asked(serving.models[version], rows(64)), connections=64, seconds=0.5)
        requests, times = (
            now - then for now, then in zip(batches(serving.server), before, strict=True)
        )
        assert requests > 2 * times


def test_what_is_in_flight_is_answered_before_the_end(tmp_path: Path) -> None:
    """After a SIGTERM 12 slow requests are answered, and the process ends with 0 within 10 s."""
    slow_model = KNeighborsClassifier(25).fit(rows(5000, seed=1), rows(5000)[:, 0] > 0)
    with served(tmp_path, slow_model) as one:
        asked = one.asked(slow_model, rows(1))
        large = rows(1000, seed=2)
        post = ratchet_contender(one.server).posts["json"](large)
        slow = Question(post, tuple(map(float, expected(slow_model, large))))
        ending = ended_in_flight(asked, one.server.process, [slow] * 12)
    assert ending.answered == Outcome(12, 12)
    assert ending.in_flight > 0
    assert ending.exit_code == 0
    assert ending.seconds < 10


def test_a_taken_port_is_a_sentence_and_an_end(serving: Served, tmp_path: Path) -> None:
    """A second server on the port ends with 1 and a line that names it; the first answers on."""
    serving.crown("1")
    port = serving.server.port
    log = tmp_path / "second.log"
    # Without gRPC, whose port is the next one by default and may be somebody else's.
    settings = {"SERVING_PORT": str(port), "SERVING_GRPC_PORT": "0"}
    settings["SERVING_HOME"] = str(tmp_path / "home")
    second = start_ratchet(settings, log)
    try:
        assert second.wait(20) == 1
    except subprocess.TimeoutExpired:
        second.kill()
        raise
    said = log.read_text().strip()
    assert said.count("\n") == 0
    assert str(port) in said
    assert malformed_beside(serving.asked(serving.models["1"], rows(31)), rounds=1).answered == 31
