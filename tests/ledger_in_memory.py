"""What a registry in this process holds: runs, versions, moves, and what people do to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import polars as pl

from include.records.data import Batch
from include.records.judging import Scorecard
from include.records.models import ModelVersion
from include.records.moves import Move, MoveKind, succession


@dataclass
class RunInMemory:
    """What was recorded for one run."""

    dag_run: str = ""
    data_version: int | None = None
    verdict: str = ""
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, bytes] = field(default_factory=dict)
    batches: tuple[Batch, ...] = ()


@dataclass
class Ledger:
    """What all parts share, and what people do to it behind their back."""

    model: str
    owner: str | None = None
    runs: dict[str, RunInMemory] = field(default_factory=dict)
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    bundles: dict[str, dict[str, bytes]] = field(default_factory=dict)
    keys: dict[str, pl.DataFrame] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    alias: str | None = None
    challenger: str | None = None
    judged: dict[int, int] = field(default_factory=dict)
    arrivals: dict[int, Scorecard] = field(default_factory=dict)
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def delete(self, number: str) -> None:
        """Delete a version, and the alias on it."""
        del self.versions[number]
        self.alias = None if self.alias == number else self.alias

    def point(self, number: str) -> None:
        """Move the alias of the champion."""
        self.alias = number

    def run_with(self, known: Mapping[str, object], new: RunInMemory) -> str:
        """Return the id of the run with these fields or tags, or of a new one."""
        for run_id, run in self.runs.items():
            if known.items() <= (vars(run) | run.tags).items():
                return run_id
        run_id = f"run-{len(self.runs) + 1}"
        self.runs[run_id] = new
        return run_id

    def is_there(self, move: Move) -> bool:
        """Return whether the version of a move is there."""
        version = self.versions.get(move.version or "")
        return version is not None and version.run_id == move.made_in

    def append(self, wanted: Move) -> Move:
        """Add a move, and let the alias follow it."""
        before = self.moves[-1].version if self.moves else None
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        move = replace(wanted, number=len(self.moves) + 1, before=before, at=now)
        self.moves.append(move)
        self.alias = move.version
        return move

    def settle(self) -> None:
        """Make log and alias agree."""
        newest = self.moves[-1] if self.moves else None
        if self.alias is not None and (newest is None or newest.version != self.alias):
            made_in, key = self.versions[self.alias].run_id, f"by hand after {len(self.moves)}"
            self.append(Move(MoveKind.BY_HAND, self.alias, key, made_in=made_in))
        elif newest is not None and newest.version is not None and not self.is_there(newest):
            left = [move for move in succession(self.moves).line if self.is_there(move)]
            back, key = left[-1] if left else None, f"fell back after {len(self.moves)}"
            version, made_in = (back.version, back.made_in) if back else (None, "")
            self.append(Move(MoveKind.FELL_BACK, version, key, made_in=made_in))
        elif newest is not None:
            self.alias = newest.version
