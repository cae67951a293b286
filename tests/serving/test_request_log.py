"""What was asked and answered, as whoever joins it to labels reads it, on disk and in a bucket."""

import itertools
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from serving.bundle import Layout, encode
from serving.configuration.settings import RequestLogSettings
from serving.models.holder import LoadedVersion
from serving.observing.metrics import Metrics
from serving.observing.request_log import AskedRows, RequestLog
from tests.seaweed import Seaweed, seaweed
from tests.serving.conftest import Open
from tests.serving.processes import until
from tests.serving.test_metrics import at, read

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp()
ROWS = np.array([[1.5, 2.5, 3.5], [-1.0, np.nan, 1.0]], np.float32)
GIVEN = np.array([0.2, 0.7])

Keep = Callable[..., RequestLog]


@pytest.fixture
def metrics() -> Metrics:
    """Return numbers at nothing."""
    return Metrics()


@pytest.fixture
def keep(tmp_path: Path, metrics: Metrics) -> Iterator[Keep]:
    """Return a function that starts a request log; whatever it started is closed afterwards."""
    started: list[RequestLog] = []

    def run(
        place: str | None = None,
        *,
        sample: float = 1.0,
        seconds: float = 3600.0,
        limit: int = 2**20,
        now: float = NOON,
    ) -> RequestLog:
        settings = RequestLogSettings(place or str(tmp_path / "requests"), sample, seconds, limit)
        chances = itertools.cycle([0.1, 0.6, 0.3, 0.9])
        log = RequestLog(settings, metrics, lambda: now, lambda: next(chances))
        started.append(log)
        return log

    yield run
    for log in started:
        log.close()


@pytest.fixture
def held(open_bundle: Open) -> LoadedVersion:
    """Return version 3 of boxes, with the threshold 0.4."""
    return LoadedVersion("boxes", "3", open_bundle())


def test_a_row_a_row_with_all_that_a_join_needs(
    keep: Keep, held: LoadedVersion, tmp_path: Path
) -> None:
    """Time, ids, who answered, what was asked and what was said, in a folder a model and day."""
    log = keep()
    log.note(held, "abc", AskedRows(ROWS), GIVEN)
    log.note(held, "def", AskedRows(ROWS[:1]), GIVEN[:1], "canary")
    log.close()
    (path,) = _files(tmp_path / "requests")
    assert path.parent == tmp_path / "requests" / "boxes" / "date=2026-03-04"
    rows = pl.read_parquet(path, hive_partitioning=False)
    assert rows["time"].unique().to_list() == [datetime(2026, 3, 4, 12, tzinfo=UTC)]
    assert rows["request_id"].to_list() == ["abc", "abc", "def"]
    assert rows["row"].to_list() == [0, 1, 0]
    assert rows["role"].to_list() == ["champion", "champion", "canary"]
    assert rows["version"].unique().to_list() == ["3"]
    assert rows["probability"].to_list() == [0.2, 0.7, 0.2]
    assert rows["label"].to_list() == ["0", "1", "0"]
    assert rows["height"].to_list() == [1.5, -1.0, 1.5]
    assert rows["width"].to_list() == [2.5, None, 2.5]
    assert rows.schema["height"] == pl.Float32


def test_categories_are_text_again_and_names_do_not_clash(
    keep: Keep, open_bundle: Open, tmp_path: Path
) -> None:
    """A category stands as it was asked; a feature called `label` hides no answer."""
    layout = Layout(("label", "wood"), {"wood": ("ash", "oak")}, ("wood",))
    bundle = open_bundle(layout=layout, example=((1.0, "oak"),), labels=("no", "yes"))
    log = keep()
    asked = encode(layout, [(1.0, "oak"), (2.0, "ash"), (3.0, None), (4.0, "elm")])
    log.note(
        LoadedVersion("boxes", "3", bundle), "abc", AskedRows(asked), np.array([0.1, 0.9, 0.1, 0.9])
    )
    log.close()
    rows = pl.read_parquet(_files(tmp_path / "requests")[0])
    assert rows["wood"].to_list() == ["oak", "ash", None, None]
    assert rows["label"].to_list() == ["no", "yes", "no", "yes"]
    assert rows["feature label"].to_list() == [1.0, 2.0, 3.0, 4.0]


def test_versions_do_not_share_a_file(
    keep: Keep, held: LoadedVersion, open_bundle: Open, tmp_path: Path
) -> None:
    """Another version may have other columns."""
    log = keep()
    log.note(held, "abc", AskedRows(ROWS), GIVEN)
    log.note(LoadedVersion("boxes", "4", open_bundle()), "def", AskedRows(ROWS), GIVEN)
    log.close()
    found = [pl.read_parquet(path)["version"].unique().item() for path in _files(tmp_path)]
    assert sorted(found) == ["3", "4"]


def test_a_name_leads_out_of_no_folder(keep: Keep, open_bundle: Open, tmp_path: Path) -> None:
    """A registry name is a folder below the place, whatever it is."""
    log = keep()
    log.note(LoadedVersion("../../x", "3", open_bundle()), "abc", AskedRows(ROWS), GIVEN)
    log.close()
    assert len(_files(tmp_path / "requests")) == 1


def test_rows_are_written_while_it_runs(
    keep: Keep, held: LoadedVersion, tmp_path: Path, metrics: Metrics
) -> None:
    """After the seconds that were asked for, without a stop, and never half."""
    log = keep(seconds=0.05)
    log.note(held, "abc", AskedRows(ROWS), GIVEN)
    until(lambda: _written(metrics) == 2)
    assert len(_files(tmp_path / "requests")) == 1


def test_a_sample_is_kept(keep: Keep, held: LoadedVersion, tmp_path: Path) -> None:
    """Only the share of requests that was asked for, and that whole."""
    log = keep(sample=0.5)
    for number in range(4):
        log.note(held, f"{number}", AskedRows(ROWS), GIVEN)
    log.close()
    kept = pl.read_parquet(_files(tmp_path / "requests")[0])["request_id"].to_list()
    assert kept == ["0", "0", "2", "2"]


def test_many_requests_stay_in_order(keep: Keep, held: LoadedVersion, tmp_path: Path) -> None:
    """However many there are in one file, each row stands with its own request and answer."""
    log = keep(limit=2**24)
    for number in range(1201):
        row = np.full((1, 3), number, np.float32)
        log.note(held, f"{number}", AskedRows(row), np.array([number / 2000]))
    log.close()
    rows = pl.read_parquet(_files(tmp_path / "requests")[0])
    assert rows["request_id"].to_list() == [f"{number}" for number in range(1201)]
    assert rows["depth"].to_list() == list(range(1201))
    assert rows["probability"].to_list() == [number / 2000 for number in range(1201)]


def test_what_does_not_fit_is_dropped_and_counted(
    keep: Keep, held: LoadedVersion, metrics: Metrics
) -> None:
    """Memory is bounded in bytes, and nobody waits for it."""
    large = np.zeros((1000, 3), np.float32)
    log = keep(limit=50_000)
    for number in range(3):
        log.note(held, f"{number}", AskedRows(large), np.zeros(1000))
    log.close()
    assert _dropped(metrics) == 1000
    assert _written(metrics) == 2000


def test_a_place_that_fails_is_one_line_and_costs_no_row_when_it_is_back(
    keep: Keep,
    held: LoadedVersion,
    tmp_path: Path,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Notes go on being taken, wait, and are written once the folder can be made."""
    blocked = tmp_path / "requests"
    blocked.write_text("a file where the folder should be")
    log = keep(seconds=0.05)
    with caplog.at_level(logging.INFO, "serving.request_log"):
        log.note(held, "abc", AskedRows(ROWS), GIVEN)
        until(lambda: "does not take the request log" in caplog.text)
        log.note(held, "def", AskedRows(ROWS), GIVEN)
        blocked.unlink()
        until(lambda: _written(metrics) == 4)
    assert caplog.text.count("does not take the request log") == 1
    assert "takes the request log again" in caplog.text
    assert _dropped(metrics) == 0


def test_rows_that_cannot_be_written_are_lost_alone(
    keep: Keep,
    held: LoadedVersion,
    open_bundle: Open,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A matrix that its layout does not fit is no reason to lose the next one."""
    log = keep()
    log.note(LoadedVersion("boxes", "2", open_bundle()), "abc", AskedRows(ROWS[:, :1]), GIVEN)
    log.note(held, "def", AskedRows(ROWS), GIVEN)
    log.close()
    assert (_written(metrics), _dropped(metrics)) == (2, 2)
    assert "cannot be written and are lost" in caplog.text


def test_a_stop_while_the_place_fails_counts_what_is_lost(
    keep: Keep, held: LoadedVersion, tmp_path: Path, metrics: Metrics
) -> None:
    """Nothing goes missing without a number."""
    (tmp_path / "requests").write_text("a file where the folder should be")
    log = keep()
    log.note(held, "abc", AskedRows(ROWS), GIVEN)
    log.close()
    assert _dropped(metrics) == 2


@pytest.mark.parametrize("place", ["gs://bucket/x", "s3://", "http://host/x"])
def test_a_place_of_another_kind_is_a_sentence(keep: Keep, place: str) -> None:
    """At the start, and naming the variable."""
    with pytest.raises(ValueError, match="SERVING_REQUEST_LOG"):
        keep(place)


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seaweed]:
    """Return an S3 server of the test's own, which the environment names."""
    with seaweed(tmp_path / "s3") as server:
        for name, value in server.options.items():
            monkeypatch.setenv(name, value)
        yield server


def test_a_bucket_takes_whole_objects_and_may_go_away(
    keep: Keep, held: LoadedVersion, s3: Seaweed, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    """Against a real S3 server: written, its death survived, and what waited written after it."""
    place = s3.fresh()
    log = keep(f"{place.url}/requests", seconds=0.2)
    log.note(held, "abc", AskedRows(ROWS), GIVEN)
    until(lambda: _written(metrics) == 2)
    s3.stop()
    log.note(held, "def", AskedRows(ROWS), GIVEN)
    until(lambda: "does not take the request log" in caplog.text)
    s3.start()
    until(lambda: _written(metrics) == 4)
    log.close()
    rows = _from_bucket(f"{place.url}/requests/boxes/date=2026-03-04/*.parquet", s3)
    assert sorted(rows["request_id"].to_list()) == ["abc", "abc", "def", "def"]


def test_the_documented_join_runs(
    keep: Keep,
    held: LoadedVersion,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The lines in the documents read this log and say how often each version was right."""
    log = keep()
    log.note(LoadedVersion("santander", "7", held.bundle), "abc", AskedRows(ROWS), GIVEN)
    log.close()
    (tmp_path / "labels.csv").write_text("request_id,row,label\nabc,0,0\nabc,1,0\n")
    (code,) = re.findall(r"```python\n(import polars.*?)```", DOCUMENT.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with pl.Config(ascii_tables=True):
        exec(code, {})  # noqa: S102 - the project's own document
    printed = capsys.readouterr().out
    assert re.search(r'"?7"?\s*\|\s*2\s*\|\s*0.5', printed), printed


def _files(folder: Path) -> list[Path]:
    """Return every file below a folder; a draft would be one too."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _from_bucket(url: str, server: Seaweed) -> pl.DataFrame:
    options = {
        name.lower(): value for name, value in server.options.items() if name.startswith("AWS_")
    }
    return pl.read_parquet(url, storage_options=options)


def _written(metrics: Metrics) -> float:
    return read(metrics).get(at("ratchet_request_log_rows_total", outcome="written"), 0)


def _dropped(metrics: Metrics) -> float:
    return read(metrics).get(at("ratchet_request_log_rows_total", outcome="dropped"), 0)
