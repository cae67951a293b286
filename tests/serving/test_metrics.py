"""What Prometheus reads, through its own parser."""

import os
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.models.holder import LoadedVersion
from serving.observing.board import WorkerFigures
from serving.observing.metrics import Metrics
from tests.serving.conftest import Open

Key = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture
def held(open_bundle: Open) -> LoadedVersion:
    """Return version 3 of boxes."""
    return LoadedVersion("boxes", "3", open_bundle())


def read(metrics: Metrics) -> dict[Key, float]:
    """Return every sample of the page by its name and labels."""
    page, kind = metrics.exposition()
    assert kind.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def at(name: str, **labels: str) -> Key:
    """Return how a sample is found."""
    return name, tuple(sorted(labels.items()))


def test_an_answer_is_counted_by_model_version_and_role(held: LoadedVersion) -> None:
    """Requests, rows, role and time of two answers, the time in its bucket and all above."""
    metrics = Metrics()
    metrics.holds([("boxes", "3", "champion")])
    metrics.answered(held, 0.0015, rows=2)
    metrics.answered(held, 0.3, rows=5, role="canary")
    page = read(metrics)
    version = {"model": "boxes", "version": "3"}
    assert page[at("ratchet_requests_total", model="boxes", status="2xx")] == 2
    assert page[at("ratchet_answers_total", model="boxes", role="canary")] == 1
    assert page[at("ratchet_rows_total", **version)] == 7
    assert page[at("ratchet_request_seconds_sum", **version)] == pytest.approx(0.3015)
    buckets = {
        bound: page[at("ratchet_request_seconds_bucket", **version, le=bound)]
        for bound in ("0.001", "0.002", "0.2", "0.5", "+Inf")
    }
    assert buckets == {"0.001": 0, "0.002": 1, "0.2": 1, "0.5": 2, "+Inf": 2}


def test_batches_swaps_refusals_and_the_rest_have_their_series(held: LoadedVersion) -> None:
    """Each thing that happens to a server is one number that moves."""
    metrics = Metrics()
    metrics.holds([("boxes", "3", "champion")])
    metrics.batch(held, requests=3, rows=40)
    metrics.queue_depth(12)
    metrics.registry_reachable(reachable=False)
    metrics.swapped("boxes", "champion")
    metrics.version_refused("boxes", "bundle")
    metrics.refused("boxes", 422)
    metrics.shadow_compared(held, rows=10, disagreements=1, total=0.5, largest=0.2)
    metrics.shadow_compared(held, rows=10, disagreements=0, total=0.1, largest=0.1)
    metrics.shadow_dropped("boxes")
    metrics.log_written(8)
    metrics.log_dropped(2)
    version = {"model": "boxes", "version": "3"}
    expected = {
        at("ratchet_batch_requests_bucket", **version, le="4.0"): 1,
        at("ratchet_batch_rows_sum", **version): 40,
        at("ratchet_queue_depth"): 12,
        at("ratchet_registry_reachable"): 0,
        at("ratchet_swaps_total", model="boxes", role="champion"): 1,
        at("ratchet_refusals_total", model="boxes", reason="bundle"): 1,
        at("ratchet_requests_total", model="boxes", status="4xx"): 1,
        at("ratchet_shadow_rows_total", **version): 20,
        at("ratchet_shadow_disagreements_total", **version): 1,
        at("ratchet_shadow_difference_total", **version): 0.6,
        at("ratchet_shadow_difference_max", **version): 0.2,
        at("ratchet_shadow_dropped_total", model="boxes"): 1,
        at("ratchet_request_log_rows_total", outcome="written"): 8,
        at("ratchet_request_log_rows_total", outcome="dropped"): 2,
    }
    assert {key: read(metrics).get(key) for key in expected} == pytest.approx(expected)


def test_a_version_that_is_dropped_disappears(held: LoadedVersion, open_bundle: Open) -> None:
    """Its series end, so that a year of champions does not fill the page."""
    metrics, new = Metrics(), LoadedVersion("boxes", "4", open_bundle())
    metrics.holds([("boxes", "3", "champion")])
    metrics.answered(held, 0.1, 1)
    metrics.shadow_compared(held, 1, 0, 0.0, 0.0)
    metrics.holds([("boxes", "4", "champion")])
    metrics.answered(new, 0.1, 1)
    page = read(metrics)
    assert not [key for key in page if ("version", "3") in key[1]]
    assert page[at("ratchet_model_info", model="boxes", version="4", role="champion")] == 1
    assert page[at("ratchet_requests_total", model="boxes", status="2xx")] == 2


def test_a_caller_cannot_make_series() -> None:
    """Names that are not held are one series, however many are asked for."""
    metrics = Metrics()
    for number in range(100):
        metrics.refused(f"made-up-{number}", 404)
    assert read(metrics)[at("ratchet_requests_total", model="", status="4xx")] == 100
    assert len([key for key in read(metrics) if key[0] == "ratchet_requests_total"]) == 1


def test_two_applications_in_one_process_do_not_meet(held: LoadedVersion) -> None:
    """Each counts its own."""
    one, other = Metrics(), Metrics()
    one.answered(held, 0.1, 1)
    assert at("ratchet_rows_total", model="boxes", version="3") in read(one)
    assert at("ratchet_rows_total", model="boxes", version="3") not in read(other)


def test_no_count_is_lost_between_threads(held: LoadedVersion) -> None:
    """Counting from several threads at once adds up."""
    metrics = Metrics()

    def count() -> None:
        for _ in range(5_000):
            metrics.answered(held, 0.1, 1)
            metrics.batch(held, 1, 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    page = read(metrics)
    assert page[at("ratchet_rows_total", model="boxes", version="3")] == 20_000
    assert page[at("ratchet_batch_rows_sum", model="boxes", version="3")] == 20_000


def test_any_worker_shows_all_of_them(held: LoadedVersion, tmp_path: Path) -> None:
    """Each worker's numbers carry its number, and never less than another page has shown."""
    first, second = (Metrics(WorkerFigures(tmp_path, number)) for number in (0, 1))
    first.answered(held, 0.1, 3)
    second.answered(held, 0.1, 4)
    assert _rows(second) == {"1": 4}
    assert _rows(first) == {"0": 3, "1": 4}
    assert _rows(second) == {"0": 3, "1": 4}


def test_a_dead_worker_is_not_shown(held: LoadedVersion, tmp_path: Path) -> None:
    """Its file stays behind and does not count."""
    first = Metrics(WorkerFigures(tmp_path, 0))
    first.answered(held, 0.1, 3)
    first.publish()
    said = (tmp_path / "0.json").read_text()
    gone = said.replace(f'"pid": {os.getpid()}', f'"pid": {_dead_pid()}')
    (tmp_path / "1.json").write_text(gone)
    assert _rows(first) == {"0": 3}


def _rows(metrics: Metrics) -> dict[str, float]:
    page = read(metrics)
    return {
        dict(labels)["worker"]: number
        for (name, labels), number in page.items()
        if name == "ratchet_rows_total"
    }


def _dead_pid() -> int:
    """Return the id of a process that has ended."""
    pid = os.posix_spawnp("true", ["true"], os.environ)
    os.waitpid(pid, 0)
    return pid
