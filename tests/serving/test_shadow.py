"""A shadow predicts what others were answered, and the canary's share of requests."""

import logging
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.bundle import Layout
from serving.models.holder import LoadedVersion
from serving.observing.metrics import Metrics
from serving.traffic.canary import goes_to_canary
from serving.traffic.shadow import Shadow
from tests.serving.conftest import Open, constant
from tests.serving.test_metrics import at, read

ROWS = np.zeros((4, 3), np.float32)
GIVEN = np.array([0.1, 0.39, 0.41, 0.9])


def predict(held: LoadedVersion, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score as the server does."""
    return held.bundle.scores(matrix)


@pytest.fixture
def champion(open_bundle: Open) -> LoadedVersion:
    """Return what answers, with the threshold 0.4."""
    return LoadedVersion("boxes", "3", open_bundle())


@pytest.fixture
def shadow(open_bundle: Open) -> LoadedVersion:
    """Return a version that always says 0.6, with the threshold 0.5."""
    return LoadedVersion("boxes", "4", open_bundle(constant(0.6), threshold=0.5))


def test_a_shadow_is_compared_row_by_row(
    champion: LoadedVersion, shadow: LoadedVersion, caplog: pytest.LogCaptureFixture
) -> None:
    """Labels at each one's own threshold, and how far the probabilities lie apart."""
    metrics = Metrics()
    metrics.holds([("boxes", "3", "champion"), ("boxes", "4", "shadow")])
    done = threading.Event()

    def once(held: LoadedVersion, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        done.set()
        return predict(held, matrix)

    running = Shadow(once, metrics)
    with caplog.at_level(logging.INFO, "serving.shadow"):
        running.copy(shadow, champion, ROWS, GIVEN)
        assert done.wait(10)
        running.close()
    page = read(metrics)
    key = {"model": "boxes", "version": "4"}
    assert page[at("ratchet_shadow_rows_total", **key)] == 4
    assert page[at("ratchet_shadow_disagreements_total", **key)] == 2
    assert page[at("ratchet_shadow_difference_total", **key)] == pytest.approx(1.2)
    assert page[at("ratchet_shadow_difference_max", **key)] == pytest.approx(0.5)
    assert "shadow boxes 4: 4 rows, 2 with another label, mean difference 0.300000" in caplog.text


def test_a_shadow_that_is_behind_loses_copies_and_holds_nobody_up(
    champion: LoadedVersion, shadow: LoadedVersion
) -> None:
    """What finds the queue full is dropped and counted at once."""
    metrics, started, release = Metrics(), threading.Event(), threading.Event()

    def slow(held: LoadedVersion, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        started.set()
        release.wait(10)
        return predict(held, matrix)

    running = Shadow(slow, metrics, queue_requests=2)
    running.copy(shadow, champion, ROWS, GIVEN)
    assert started.wait(10)
    for _ in range(5):
        running.copy(shadow, champion, ROWS, GIVEN)
    assert read(metrics)[at("ratchet_shadow_dropped_total", model="boxes")] == 3
    release.set()
    running.close()


def test_a_shadow_that_raises_is_counted_and_goes_on(
    champion: LoadedVersion, shadow: LoadedVersion, caplog: pytest.LogCaptureFixture
) -> None:
    """A model on trial may fail on any row; the log names it once and the next is tried."""
    metrics, calls, both = Metrics(), [0], threading.Event()

    def broken(_held: LoadedVersion, _matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        calls[0] += 1
        if calls[0] == 2:
            both.set()
        raise RuntimeError("no such tree")

    running = Shadow(broken, metrics)
    running.copy(shadow, champion, ROWS, GIVEN)
    running.copy(shadow, champion, ROWS, GIVEN)
    assert both.wait(10)
    running.close()
    assert read(metrics)[at("ratchet_shadow_dropped_total", model="boxes")] == 2
    assert caplog.text.count("cannot predict: no such tree") == 1


def test_a_shadow_of_another_layout_is_not_asked(
    champion: LoadedVersion, open_bundle: Open
) -> None:
    """A matrix in the champion's columns means something else to it."""
    metrics = Metrics()
    other = LoadedVersion("boxes", "4", open_bundle(layout=Layout(("width", "height", "depth"))))
    running = Shadow(predict, metrics)
    running.copy(other, champion, ROWS, GIVEN)
    running.close()
    assert read(metrics)[at("ratchet_shadow_dropped_total", model="boxes")] == 1


def test_a_request_goes_the_same_way_each_time() -> None:
    """The choice hangs on the id alone, not on the process or the run."""
    ids = [f"request-{number}" for number in range(1000)]
    first = [goes_to_canary(one, 0.3) for one in ids]
    assert first == [goes_to_canary(one, 0.3) for one in ids]
    assert 250 < sum(first) < 350


def test_a_larger_share_keeps_those_that_went_there() -> None:
    """Raising the share sends more ids to the canary and takes none away."""
    ids = [f"request-{number}" for number in range(1000)]
    small = {one for one in ids if goes_to_canary(one, 0.05)}
    assert small < {one for one in ids if goes_to_canary(one, 0.5)}


@pytest.mark.parametrize(("share", "all_of_them"), [(0.0, False), (1.0, True)])
def test_none_and_all_are_exact(share: float, all_of_them: bool) -> None:  # noqa: FBT001 - a table
    """0 sends nobody, 1 everybody."""
    assert {goes_to_canary(f"{number}", share) for number in range(1000)} == {all_of_them}
