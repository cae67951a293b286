"""A registry of models in this process, for tests of steps that need MLflow for nothing else.

It keeps the promises of `include.context.model_registry` and knows a person's two commonest deeds;
`tests/contract/test_registry_promises.py` holds it to MLflow's answers. What people do in MLflow
beside these is tried on MLflow itself.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from include.errors import (
    ChampionMovedError,
    GoneError,
    ModelRefusedError,
    NothingToDoError,
    NotOwnerError,
)
from include.metrics import Figures, Metric
from include.records.arrays import Probabilities
from include.records.data import Batch
from include.records.fitted_keys import FittedKeys
from include.records.judging import Decision, Scorecard, Scores
from include.records.models import FAMILY, FITTED_KEYS, ORIGIN, TABLE, ModelVersion, Origin
from include.records.moves import Move, MoveKind
from include.records.training import Trial
from serving.bundle import Bundle, Manifest, load, save, with_own_answers
from tests.ledger_in_memory import Ledger, RunInMemory


@dataclass(frozen=True)
class _Runs:
    ledger: Ledger

    def open(self, dag_run: str, data_version: int, tags: Mapping[str, str]) -> str:
        new = RunInMemory(dag_run, data_version, tags={**tags})
        return self.ledger.run_with({"dag_run": dag_run}, new)

    def require(self, run_id: str) -> None:
        if run_id not in self.ledger.runs:
            raise GoneError(f"run {run_id} was deleted")

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        run = self.ledger.runs[run_id]
        run.params |= {name: str(value) for name, value in (params or {}).items()}
        run.metrics |= {name: float(value) for name, value in (metrics or {}).items()}
        run.tags |= tags or {}

    def log_dataset(self, run_id: str, url: str, data_version: int) -> None:
        self.ledger.runs[run_id].files["dataset"] = (url, data_version)

    def log_batches(self, run_id: str, batches: Sequence[Batch]) -> None:
        self.ledger.runs[run_id].batches = tuple(batches)

    def log_trial(
        self, parent: str, trial: Trial, metric: Metric, probability: Probabilities | None = None
    ) -> str:
        tags = {"parent": parent, "candidate": trial.candidate.title}
        run_id = self.ledger.run_with(tags, RunInMemory(tags=tags))
        self.log(run_id, params=trial.candidate.params, metrics={metric.name: trial.value})
        if probability is not None:
            self.ledger.runs[run_id].files["out_of_fold"] = probability
        return run_id

    def log_table(self, run_id: str, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.ledger.runs[run_id].files[name] = [dict(row) for row in rows]

    def log_scorecard(self, run_id: str, contender: str, card: Scorecard) -> None:
        figures = {"data_version": card.data_version, **card.numbers()}
        self.log(run_id, metrics={f"{contender}_{name}": value for name, value in figures.items()})

    def log_grounds(self, run_id: str, scores: Scores) -> None:
        self.log(run_id, metrics={"looks": scores.looks})
        self.ledger.runs[run_id].files["proofs"] = scores.proofs

    def log_figures(self, run_id: str, figures: Mapping[str, Figure]) -> None:
        for name, figure in figures.items():
            png = BytesIO()
            figure.savefig(png, format="png")
            self.ledger.runs[run_id].figures[name] = png.getvalue()

    def log_page(self, run_id: str, page: str) -> None:
        self.ledger.runs[run_id].files["decision.html"] = page

    def describe(self, run_id: str, text: str) -> None:
        self.ledger.runs[run_id].tags["description"] = text

    def figures(self, run_id: str) -> dict[str, bytes]:
        return dict(self.ledger.runs[run_id].figures)

    def batches(self, run_id: str) -> tuple[Batch, ...]:
        return self.ledger.runs[run_id].batches

    def metric(self, run_id: str, name: str) -> float | None:
        run = self.ledger.runs.get(run_id)
        return None if run is None else run.metrics.get(name)


class _Pages:
    def of_run(self, run_id: str) -> str:
        return f"memory:/runs/{run_id}"

    def of_trainings(self) -> str:
        return "memory:/runs"

    def of_version(self, version: ModelVersion) -> str:
        return f"memory:/models/{version.name}/versions/{version.version}"


@dataclass(frozen=True)
class _Arrivals:
    ledger: Ledger

    def data_versions(self) -> set[int]:
        return set(self.ledger.arrivals)

    def log(self, card: Scorecard, figures: Figures) -> None:
        del figures
        self.ledger.arrivals[card.data_version] = card


@dataclass(frozen=True)
class _Ownership:
    ledger: Ledger
    spec: str

    def owner(self) -> str | None:
        return self.ledger.owner

    def owner_if_told(self) -> str | None:
        return self.ledger.owner

    def require_owner(self) -> None:
        self.require_own(self.ledger.owner)

    def require_own(self, owner: str | None) -> None:
        if owner not in {None, self.spec}:
            raise NotOwnerError(self.spec, self.ledger.model, str(owner))

    def transfer(self, by: str) -> str | None:
        before = self.ledger.owner
        if before is None:
            raise NothingToDoError(f"nothing is registered as {self.ledger.model}, {by}")
        self.ledger.owner = self.spec
        return before


@dataclass(frozen=True)
class _Versions:
    ledger: Ledger
    ownership: _Ownership

    def register(
        self,
        run_id: str,
        model: Any,
        manifest: Manifest,
        requirements: Sequence[str],
        metadata: Mapping[str, str],
    ) -> ModelVersion:
        self.ownership.require_owner()
        if (before := self.made_in(run_id)) is not None:
            return before
        del requirements
        number = str(next(self.ledger.numbers))
        with tempfile.TemporaryDirectory() as folder:
            digest = save(Path(folder), model, with_own_answers(manifest, model))
            files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        self.ledger.owner = self.ownership.spec
        self.ledger.bundles[number] = files
        self.ledger.versions[number] = ModelVersion(
            self.ledger.model,
            number,
            digest,
            manifest.data_version,
            run_id,
            table=metadata.get(TABLE, ""),
            origin=Origin(metadata.get(ORIGIN, Origin.FITTED)),
            family=metadata.get(FAMILY, ""),
        )
        self.ledger.runs[run_id].tags |= {FITTED_KEYS: metadata.get(FITTED_KEYS, "")}
        return self.ledger.versions[number]

    def made_in(self, run_id: str) -> ModelVersion | None:
        made = (one for one in self.ledger.versions.values() if one.run_id == run_id)
        return next(made, None)

    def version_numbered(self, number: str) -> ModelVersion | None:
        return self.ledger.versions.get(number)

    def data_versions(self) -> set[int]:
        return {version.data_version for version in self.ledger.versions.values()}

    def is_there(self, move: Move) -> bool:
        return self.ledger.is_there(move)

    def require_there(self, version: ModelVersion) -> None:
        if self.ledger.versions.get(version.version) != version:
            raise GoneError(f"{version.name} version {version.version} was deleted")

    def bundle(self, version: ModelVersion) -> Bundle:
        self.require_there(version)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in self.ledger.bundles[version.version].items():
                (Path(folder) / name).write_bytes(content)
            return load(Path(folder), version.digest)


@dataclass(frozen=True)
class _Adoptions:
    ledger: Ledger

    def open(self, digest: str, tags: Mapping[str, str]) -> str:
        adopted = {"adopted": digest}
        return self.ledger.run_with(adopted, RunInMemory(tags={**tags, **adopted}))

    def keep_fitted_keys(self, run_id: str, keys: FittedKeys) -> str:
        self.ledger.keys[run_id] = keys.rows
        return _digest(keys.rows)

    def fitted_keys(self, version: ModelVersion) -> FittedKeys:
        keys = self.ledger.keys.get(version.run_id)
        if keys is None or _digest(keys) != self.ledger.runs[version.run_id].tags[FITTED_KEYS]:
            raise ModelRefusedError(f"the keys of version {version.version} prove nothing")
        return FittedKeys(keys)


@dataclass(frozen=True)
class _Challenger:
    ledger: Ledger
    versions: _Versions

    def put_up(self, challenger: ModelVersion) -> None:
        self.versions.require_there(challenger)
        self.ledger.challenger = challenger.version

    def take_down(self, challenger: ModelVersion) -> None:
        if self.ledger.challenger == challenger.version:
            self.ledger.challenger = None


@dataclass(frozen=True)
class _Champion:
    ledger: Ledger
    versions: _Versions
    ownership: _Ownership

    def current(self) -> ModelVersion | None:
        moves = self.moves()
        return self.reached_by(moves[-1]) if moves else None

    def moves(self) -> tuple[Move, ...]:
        self.ledger.settle()
        return tuple(self.ledger.moves)

    def move(self, wanted: Move, expected: str | None) -> Move:
        if wanted.kind is not MoveKind.GIVEN_BACK:
            self.ownership.require_owner()
        moves = self.moves()
        newest = moves[-1] if moves else None
        for move in moves:
            if move.key == wanted.key and move.leads_where(wanted):
                return move
        if newest is not None and newest.version and newest.leads_where(wanted):
            return newest
        now = newest.version if newest else None
        if now != expected:
            raise ChampionMovedError(
                f"version {wanted.version} was judged against champion {expected}, but the "
                f"champion is now {now}"
            )
        version = self.ledger.versions.get(wanted.version or "")
        if version is None or wanted.made_in not in {"", version.run_id}:
            raise GoneError(f"version {wanted.version} was deleted")
        return self.ledger.append(replace(wanted, made_in=version.run_id))

    def opponent_of(self, challenger: ModelVersion) -> ModelVersion | None:
        champion = self.current()
        if champion is None or champion.run_id != challenger.run_id:
            return champion
        came = [one for one in self.ledger.moves if not one.kind.leads_back]
        before = [one.before for one in came if one.version == challenger.version][-1:]
        return self.versions.version_numbered(str(before[0])) if before else None

    def reached_by(self, move: Move) -> ModelVersion | None:
        return (
            self.versions.version_numbered(str(move.version))
            if self.ledger.is_there(move)
            else None
        )


@dataclass(frozen=True)
class _Decisions:
    ledger: Ledger

    def log(self, run_id: str, version: ModelVersion, decision: Decision) -> None:
        self.ledger.runs[run_id].verdict = str(decision.verdict)
        self.ledger.judged[int(version.version)] = decision.scores.challenger.rows

    def looks(self, challenger: ModelVersion, rows: int) -> int:
        judged = {number for number, held in self.ledger.judged.items() if 2 * held >= rows}
        return len(judged - {int(challenger.version)})

    def newest_data_version(self, but_for: str) -> int | None:
        decided = [
            run.data_version
            for run in self.ledger.runs.values()
            if run.verdict and run.data_version is not None and run.dag_run != but_for
        ]
        return decided[-1] if decided else None


@dataclass(frozen=True)
class RegistryInMemory:
    """The parts of a registry, over one ledger."""

    model: str
    runs: _Runs
    pages: _Pages
    arrivals: _Arrivals
    versions: _Versions
    adoptions: _Adoptions
    challenger: _Challenger
    champion: _Champion
    decisions: _Decisions
    ownership: _Ownership


def registry_in_memory(ledger: Ledger, spec: str) -> RegistryInMemory:
    """Return the registry as a spec sees it; two specs may share a ledger, that is a model."""
    ownership = _Ownership(ledger, spec)
    versions = _Versions(ledger, ownership)
    return RegistryInMemory(
        ledger.model,
        _Runs(ledger),
        _Pages(),
        _Arrivals(ledger),
        versions,
        _Adoptions(ledger),
        _Challenger(ledger, versions),
        _Champion(ledger, versions, ownership),
        _Decisions(ledger),
        ownership,
    )


def _digest(keys: pl.DataFrame) -> str:
    return sha256(keys.write_csv().encode()).hexdigest()
