"""A history of five deliveries, taken in by a process that may be killed at any instant."""

import hashlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
from deltalake import DeltaTable
from pydantic import TypeAdapter

from demo.data import pulsar_rows
from include.adapters.lake.sides import Sides
from include.adapters.landing import claims
from include.context.step_context import StepContext, step_context
from include.records.data import Batch, Intake
from include.records.packing import pack
from include.settings import Settings, read_settings
from include.spec.model_spec import Spec
from include.store import Folder, Store, open_store
from tests import steps

ROWS = 400
_ENVIRONMENT = "environment.json"
_NOTES = "refused/"
_BATCHES = TypeAdapter(list[Batch])


def lay_out(
    home: Path,
    spec: Spec,
    environment: Mapping[str, str] | None = None,
    dropped: Mapping[str, str] | None = None,
) -> None:
    """Drop files, those of `files` by default; note where landing and lake are if not at home."""
    home.mkdir(parents=True, exist_ok=True)
    (home / _ENVIRONMENT).write_text(json.dumps(dict(environment or {})))
    for number, (name, text) in enumerate((dropped or files()).items()):
        drop(home, spec, name, text, 1_700_000_000 + number)


def files() -> dict[str, str]:
    """Return five files: repeats, conflicts, bad rows, a file twice and one that is refused."""
    rows = pulsar_rows(3 * ROWS, seed=7)
    one, two, three = (rows[start : start + ROWS] for start in range(0, 3 * ROWS, ROWS))
    flipped = one[:20].with_columns((1 - pl.col("class")).alias("class"))
    return {
        "1 first.csv": one.write_csv(),
        "2 repeats and conflicts.csv": pl.concat([two, one[100:200], flipped]).write_csv(),
        "3 nothing of ours.csv": "what,is,this\n1,2,3\n",
        "4 bad rows.csv": three.write_csv() + "n/a,1,1,1,1,1,1,1,0\n1,2\n",
        "5 the first again.csv": one.write_csv(),
    }


def drop(home: Path, spec: Spec, name: str, text: str, stamp: float) -> None:
    """Put a file into landing, in a folder as if it had been written at that time."""
    place = _landing(home, spec)
    place.write(name, text.encode())
    if isinstance(place, Folder):
        os.utime(place.path(name), (stamp,) * 2)


def take_in(home: Path, spec: Spec, die_at: int | None, *, again: bool, run: str = "run") -> None:
    """Take in what waits, as a run of the Dag does: results of finished steps are kept.

    With `again` the steps that a killed attempt had finished are not repeated, as when Airflow
    retries a task; without it a new run starts. At door call number `die_at` the process kills
    itself.
    """
    pytest.MonkeyPatch().setattr(claims, "POLL_SECONDS", 0.01)
    context = _mortal(step_context(spec, settings(home)), die_at)
    kept = home / "kept" / run
    kept.mkdir(parents=True, exist_ok=True)
    if not again:
        for file in kept.iterdir():
            file.unlink()
    ingested = _once(kept / "1", lambda: steps.ingest(context))
    deduped = _once(kept / "2", lambda: steps.dedup(context, ingested))
    _once(kept / "3", lambda: _split(context, deduped))


def waiting(home: Path, spec: Spec) -> bool:
    """Say whether a file has not come to its end."""
    return any(entry.name.endswith(".csv") for entry in _landing(home, spec).walk())


def state(home: Path, spec: Spec) -> dict[str, Any]:
    """Return everything that must be as if nothing had ever failed."""
    where = settings(home)
    lake = open_store(f"{where.lake_url}/{spec.name}", where.s3)
    table = DeltaTable(f"{lake.url}/rows", storage_options=dict(where.s3))
    # A batch has the time at which the attempt that committed it began to write.
    rows = pl.scan_delta(table, storage_options=dict(where.s3)).drop("arrived_at").collect()
    archived = _digests(lake.at("archive"))
    sides = Sides(lake.at("archive/.sides/2"))
    landing = _digests(_landing(home, spec))
    return {
        "rows": sorted(rows.select(sorted(rows.columns)).rows()),
        "commits": table.version(),
        "archive": {name: one for name, one in archived.items() if not name.startswith(".")},
        "kept beside the archive": sorted(name for name in archived if name.startswith(".")),
        "sides": sides.read(sides.digests()).sort("key_high", "key_low").rows(),
        "quarantine": _digests(lake.at("quarantine")),
        "contract": lake.read("contract.toml").decode(),
        "landing": {name: one for name, one in landing.items() if not name.startswith(_NOTES)},
        # What a note says has the minute in which it was written.
        "notes": sorted(name for name in landing if name.startswith(_NOTES)),
        "refusals": _digests(lake.at("refusals")),
        "staged": _digests(lake.at("staging")),
    }


def settings(home: Path) -> Settings:
    """Return the settings of a home that nobody serves or trains from."""
    noted = home / _ENVIRONMENT
    stated = json.loads(noted.read_text()) if noted.exists() else {}
    return read_settings({"RATCHET_HOME": str(home), **stated})


def _landing(home: Path, spec: Spec) -> Store:
    where = settings(home)
    return open_store(where.landing_url(spec.name, spec.landing), where.s3)


def _split(context: StepContext, batches: Sequence[Batch]) -> list[Batch]:
    intake: Intake = steps.split(context, batches)
    return list(intake.batches)


def _once(folder: Path, step: Callable[[], list[Batch]]) -> list[Batch]:
    if not folder.exists():
        partial = folder.with_suffix(".part")
        partial.write_text(json.dumps(pack(step())))
        partial.replace(folder)
    return _BATCHES.validate_json(folder.read_text())


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


def _mortal(context: StepContext, die_at: int | None) -> StepContext:
    if die_at is None:
        return context
    calls: list[int] = []
    doors = ("landing", "lake", "ledger", "notes")
    mortal = {name: cast("Any", _Mortal(getattr(context, name), calls, die_at)) for name in doors}
    return replace(context, **mortal)


def _digests(store: Store) -> dict[str, str]:
    return {
        entry.name: hashlib.sha256(store.read(entry.name)).hexdigest() for entry in store.walk()
    }
