"""The exporter as it is started: a process of its own, beside sources that come and go."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from include.adapters.lake import Lake
from include.monitoring import exporter
from include.monitoring.exporter import Exporter, Watch
from include.settings import PROJECT, read_settings
from tests.conftest import PULSARS
from tests.logs import messages_of
from tests.serving.processes import until
from tests.serving.registries import environment, free_port

NOBODY = "1"
"""A port that nothing listens on."""


class Clock:
    """A time that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        """Return it."""
        return self.now


@dataclass
class Source:
    """A source that a test takes away."""

    away: bool = False

    def look(self) -> str:
        """Return what there is, or raise."""
        if self.away:
            raise ConnectionError("nobody answers")
        return "something"


def test_a_source_that_is_away_keeps_its_reading(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up, away, up again; the log has one line for each change and none for each look."""
    source, clock = Source(), Clock()
    monkeypatch.setattr(time, "time", clock)
    watch = Watch("cats", "lake", source.look, clock)
    assert (watch.source_state().up, watch.reading) == (False, None)
    watch.look()
    assert (watch.source_state().up, watch.source_state().at) == (True, 1000)
    source.away, clock.now = True, 1001.0
    watch.look()
    watch.look()
    assert (watch.source_state().up, watch.source_state().at, watch.reading) == (
        False,
        1000,
        "something",
    )
    source.away = False
    watch.look()
    assert (watch.source_state().up, watch.source_state().at) == (True, 1001)
    assert messages_of(caplog, "ratchet") == [
        "the lake of cats cannot be read: ConnectionError: nobody answers",
        "the lake of cats is read again",
    ]


def test_a_look_that_hangs_is_a_source_that_is_away() -> None:
    """Whoever waits for an answer says nothing, so time does."""
    clock = Clock()
    watch = Watch("cats", "lake", Source().look, clock)
    watch.look()
    clock.now += exporter.STALE_SECONDS - 1
    assert watch.source_state().up
    clock.now += 1
    assert not watch.source_state().up


def test_a_clock_that_is_set_says_nothing_of_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does an hour more make it old, nor an hour less hide that a look hangs."""
    clock, now = Clock(), time.time()
    watch = Watch("cats", "lake", Source().look, clock)
    watch.look()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert watch.source_state().up
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    clock.now += exporter.STALE_SECONDS
    assert not watch.source_state().up


def test_specs_come_change_and_go(tmp_path: Path) -> None:
    """A new one is watched, a changed one anew, a broken one is down, one that is gone is gone."""
    variables = {"RATCHET_HOME": str(tmp_path), "RATCHET_MLFLOW_PORT": NOBODY}
    specs = tmp_path / "specs"
    specs.mkdir()
    exported = Exporter(read_settings(variables | {"RATCHET_SPECS": str(specs)}))

    def up() -> dict[str, float]:
        exported.follow()
        family = next(iter(exported.collect()))
        return {f"{one.labels['spec']}/{one.labels['source']}": one.value for one in family.samples}

    assert up() == {}
    (specs / "cats.toml").write_text(PULSARS)
    assert up()["cats/spec"] == 1
    first = exported._watched["cats"]
    up()
    assert exported._watched["cats"] is first
    (specs / "cats.toml").write_text(PULSARS + "[gate]\nconfidence = 0.9\n")
    up()
    assert exported._watched["cats"] is not first
    assert first.lake._ended.is_set()
    (specs / "cats.toml").write_text("title = 1")
    assert up() == {"cats/spec": 0}
    (specs / "cats.toml").unlink()
    assert up() == {}


@contextmanager
def exporting(home: Path, **variables: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Start an exporter and yield its address."""
    port = str(free_port())
    said = {"RATCHET_HOME": str(home), "RATCHET_SPECS": str(home / "specs")}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "include.monitoring.exporter"],
            env=environment() | said | {"RATCHET_METRICS_PORT": port} | variables,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        yield f"http://127.0.0.1:{port}/metrics", process
    finally:
        process.kill()
        process.wait()


def page(url: str) -> str:
    """Return the page, empty while nobody answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def test_without_mlflow_the_page_has_the_lake(tmp_path: Path) -> None:
    """The registry is down and the log says so once; rows are shown; SIGTERM ends it with 0."""
    home = tmp_path
    (home / "specs").mkdir()
    (home / "specs" / "cats.toml").write_text(PULSARS)
    row = pl.DataFrame({"a": [1.0], "key_high": [1], "key_low": [0], "side": ["train"]})
    lake = Lake(str(home / "lake" / "cats"), {}, home / "scratch")
    lake.commit("d" * 64, [row.with_columns(label=pl.lit(1, pl.Int8))], None)
    with exporting(home, RATCHET_MLFLOW_PORT=NOBODY) as (url, process):
        until(lambda: 'ratchet_up{source="lake",spec="cats"} 1.0' in page(url))
        shown = page(url)
        assert 'ratchet_lake_rows{label="positive",side="train",spec="cats"} 1.0' in shown
        assert 'ratchet_up{source="registry",spec="cats"} 0.0' in shown
        assert "ratchet_runs{" not in shown
        until(
            lambda: (home / "log").read_text().count("the registry of cats cannot be read: ") == 1
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert [path.name for path in (home / "lake" / "cats").iterdir()] == [
        "rows"
    ]  # nothing was written


def test_a_taken_port_gets_a_sentence(tmp_path: Path) -> None:
    """And exit code 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        found = subprocess.run(
            [sys.executable, "-m", "include.monitoring.exporter"],
            env=environment() | {"RATCHET_HOME": str(tmp_path), "RATCHET_METRICS_PORT": port},
            cwd=PROJECT,
            capture_output=True,
            check=False,
            text=True,
        )
    assert found.returncode == 1
    assert found.stderr.splitlines()[-1].startswith("The exporter cannot start: ")
    assert "in use" in found.stderr
