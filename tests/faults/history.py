"""A history of five deliveries, taken in by a process that may be killed at any instant."""

import hashlib
import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
from deltalake import DeltaTable
from pydantic import TypeAdapter

from demo.data import pulsar_rows
from include import steps
from include.adapters import landing as door
from include.records import Batch, Intake, pack
from include.settings import Settings, read_settings
from include.spec import Spec
from include.workplace import Workplace, workplace

ROWS = 400
_BATCHES = TypeAdapter(list[Batch])


def lay_out(home: Path, spec: Spec) -> None:
    """Drop five files: repeats, conflicts, bad rows, a file twice and one that is refused."""
    folder = home / "landing" / spec.name
    folder.mkdir(parents=True)
    rows = pulsar_rows(3 * ROWS, seed=7)
    one, two, three = (rows[start : start + ROWS] for start in range(0, 3 * ROWS, ROWS))
    flipped = one[:20].with_columns((1 - pl.col("class")).alias("class"))
    files = {
        "1 first.csv": one.write_csv(),
        "2 repeats and conflicts.csv": pl.concat([two, one[100:200], flipped]).write_csv(),
        "3 nothing of ours.csv": "what,is,this\n1,2,3\n",
        "4 bad rows.csv": three.write_csv() + "n/a,1,1,1,1,1,1,1,0\n1,2\n",
        "5 the first again.csv": one.write_csv(),
    }
    for number, (name, text) in enumerate(files.items()):
        (folder / name).write_text(text)
        os.utime(folder / name, (1_700_000_000 + number,) * 2)


def take_in(home: Path, spec: Spec, die_at: int | None, *, again: bool, run: str = "run") -> None:
    """Take in what waits, as a run of the Dag does: results of finished steps are kept.

    With `again` the steps that a killed attempt had finished are not repeated, as when Airflow
    retries a task; without it a new run starts. At door call number `die_at` the process kills
    itself.
    """
    pytest.MonkeyPatch().setattr(door, "POLL_SECONDS", 0.01)
    at = _mortal(_workplace(home, spec), die_at)
    kept = home / "kept" / run
    kept.mkdir(parents=True, exist_ok=True)
    if not again:
        for file in kept.iterdir():
            file.unlink()
    ingested = _once(kept / "1", lambda: steps.ingest(at))
    deduped = _once(kept / "2", lambda: steps.dedup(at, ingested))
    _once(kept / "3", lambda: _split(at, deduped))


def waiting(home: Path, spec: Spec) -> bool:
    """Say whether a file has not come to its end."""
    folder = home / "landing" / spec.name
    return any(path.is_file() and path.suffix == ".csv" for path in folder.rglob("*"))


def state(home: Path, spec: Spec) -> dict[str, Any]:
    """Return everything that must be as if nothing had ever failed."""
    place = home / "lake" / spec.name
    table = DeltaTable(place / "rows")
    rows = pl.scan_delta(table).collect()
    return {
        "rows": sorted(rows.select(sorted(rows.columns)).rows()),
        "commits": table.version(),
        "archive": _digests(place / "archive"),
        "quarantine": _digests(place / "quarantine"),
        "contract": (place / "contract.toml").read_text(),
        "landing": _digests(home / "landing"),
        "staged": _digests(place / "staging"),
    }


def _workplace(home: Path, spec: Spec) -> Workplace:
    return workplace(spec, settings(home))


def settings(home: Path) -> Settings:
    """Return the settings of a home that nobody serves or trains from."""
    return read_settings({"RATCHET_HOME": str(home)})


def _split(at: Workplace, batches: Sequence[Batch]) -> list[Batch]:
    intake: Intake = steps.split(at, batches)
    return list(intake.batches)


def _once(kept: Path, step: Callable[[], list[Batch]]) -> list[Batch]:
    if not kept.exists():
        partial = kept.with_suffix(".part")
        partial.write_text(json.dumps(pack(step())))
        partial.replace(kept)
    return _BATCHES.validate_json(kept.read_text())


class _Mortal:
    """A door whose every call may be the last thing that the process does."""

    def __init__(self, inner: object, calls: list[int], die_at: int) -> None:
        self._inner, self._calls, self._die_at = inner, calls, die_at

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def called(*arguments: Any) -> Any:
            self._tick()
            result = found(*arguments)
            self._tick()
            return result

        return called

    def _tick(self) -> None:
        self._calls.append(0)
        if len(self._calls) == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)


def _mortal(at: Workplace, die_at: int | None) -> Workplace:
    if die_at is None:
        return at
    calls: list[int] = []
    landing = cast("Any", _Mortal(at.landing, calls, die_at))
    return replace(at, landing=landing, lake=cast("Any", _Mortal(at.lake, calls, die_at)))


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
