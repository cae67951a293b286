"""A small world to do in what people do in MLflow: a spec, its registered model and its runs."""

import re
import shutil
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from include.cli import registry_commands
from include.context.step_context import StepContext
from include.errors import ModelRefusedError, NotOwnerError, RatchetError, TakenError
from include.records.data import Intake
from include.records.judging import Decision
from include.records.models import ModelVersion
from include.records.moves import Move, MoveKind, RollBack
from include.records.training import Form, NoNewData, Plan
from tests import steps

RUNS = (f"deed__{number}" for number in count())
FORM = Form(force=True, no_new_data=NoNewData.RETRAIN)
SPEC, MOVES, LEDGER = "ratchet.spec", "ratchet.moves", "ratchet.ledger"


@dataclass(repr=False)
class World:
    """A spec with an experiment and a registered model, and the MLflow server behind them."""

    at: StepContext
    intake: Intake
    home: Path
    """The folder of the server."""
    fit: Callable[[StepContext, Plan], ModelVersion]
    """Registers a model as the task `fit` does, only sooner."""
    watchers: Sequence[Callable[[], object]] = ()
    """Those who only look, as the exporter does: none of them may stumble over a deed."""
    plan: Plan | None = None
    challenger: ModelVersion | None = None
    client: mlflow.MlflowClient = field(default_factory=mlflow.MlflowClient)
    works: bool = True

    @property
    def model(self) -> str:
        """The name of the registered model."""
        return self.at.spec.model

    def deliver(self, do: Callable[["World"], None] | None = None, moment: str = "") -> Decision:
        """Run the steps after a delivery came; somebody does something at a moment of it."""

        def now(name: str) -> None:
            if do is not None and name == moment:
                # With what is not there nothing can be done: MLflow refuses, or a list is empty.
                with suppress(MlflowException, IndexError):
                    do(self)
                for look in self.watchers:
                    look()

        now("before plan")
        self.plan = steps.plan(self.at, self.intake, FORM, next(RUNS))
        now("before fit")
        self.challenger = self.fit(self.at, self.plan)
        now("before score")
        scores = steps.score(self.at, self.plan, self.challenger)
        decision = steps.decide(self.at, scores, FORM)
        held = steps.preflight(self.at, self.plan, self.challenger, decision)
        now("before promote")
        decision = steps.promote(
            self.at, self.plan, self.challenger, scores, FORM, preflight_result=held
        )
        now("before serve")
        steps.serve(self.at, self.plan)
        now("before roll back")
        if moment == "before roll back":
            asked = RollBack(f"back {next(RUNS)}", 1, "worse", "Ada")
            steps.roll_back(self.at, asked)
            steps.serve(self.at, None)
        return decision

    def promote(self) -> None:
        """Make a new version the champion, as a run would without judging it."""
        assert self.intake.dataset is not None
        registry = self.at.registry
        run_id = registry.runs.open(next(RUNS), self.intake.dataset.version, {})
        self.plan = Plan(run_id, self.intake.dataset)
        self.challenger = self.fit(self.at, self.plan)
        version, champion = self.challenger.version, registry.champion.current()
        registry.champion.move(
            Move(MoveKind.PROMOTION, version, f"version {version}", run_id, "better"),
            None if champion is None else champion.version,
        )
        self.client.set_model_version_tag(self.model, version, "ratchet.verdict", "PROMOTE")

    def mend(self, error: RatchetError) -> None:
        """Do what a sentence says that a person has to do."""
        sentence = str(error)
        if isinstance(error, NotOwnerError):
            assert f"./ratchet transfer {self.model} --to {self.at.spec.name}" in sentence
            self.at.registry.ownership.transfer("Ada")
        if isinstance(error, TakenError):
            said = re.search(rf"set its tag (\S+) to {self.at.spec.name}", sentence)
            assert said is not None
            if experiment := re.match(r"experiment (.+) in MLflow is that of", sentence):
                place = self.client.get_experiment_by_name(experiment[1]).experiment_id
                self.client.set_experiment_tag(place, said[1], self.at.spec.name)
            else:
                self.client.set_registered_model_tag(self.model, SPEC, self.at.spec.name)
        if isinstance(error, ModelRefusedError):
            refused = re.search(r"version (\d+)", sentence)
            assert refused is not None
            assert "delete the version in MLflow" in sentence
            self.client.delete_model_version(self.model, refused[1])

    def promotions(self) -> list[str]:
        """Return what `./ratchet promotions` says."""
        return list(registry_commands.list_promotions(self.at, None))  # type: ignore[arg-type]

    def alias(self, name: str = "champion") -> str:
        """Return the version that an alias names, empty when there is none."""
        found = self.client.search_registered_models(f"name='{self.model}'")
        return str(found[0].aliases.get(name, "")) if found else ""

    def tag(self, name: str) -> str:
        """Return a tag of the registered model."""
        return str(self.client.get_registered_model(self.model).tags.get(name, ""))

    def experiment(self, tag: str = SPEC) -> Any:
        """Return the spec's experiment of trainings, or its ledger, whatever it is called."""
        tagged = f"tags.`{tag}` = '{self.at.spec.name}'"
        return self.client.search_experiments(view_type=3, filter_string=tagged)[0]

    def numbers(self) -> list[str]:
        """Return the versions there are, the newest last."""
        found = self.client.search_model_versions(f"name='{self.model}'")
        return sorted((str(one.version) for one in found), key=int)

    def files(self, version: str) -> Path:
        """Return the folder of a version's artifacts; IndexError where they were deleted."""
        source = self.client.get_model_version(self.model, version).source
        folders = [*self.home.glob(f"artifacts/*/models/{source.rpartition('/')[2]}/artifacts")]
        return folders[0]

    def foreign_version(self) -> str:
        """Register a version as another tool does, and return it."""
        return str(self.client.create_model_version(self.model, "s3://another/model").version)

    def trained(self, version: str) -> str:
        """Return the run that made a version."""
        return str(self.client.get_model_version(self.model, version).run_id)

    def emptied_bin(self, *, experiment: str = "", run: str = "", model: str = "") -> None:
        """Do what `mlflow gc` does to what was deleted, records and files."""
        store = _store(self.home)
        gone = [run] if run else []
        if experiment:
            gone += [one.info.run_id for one in self.client.search_runs([experiment], "", 2)]
        for run_id in gone:
            store._hard_delete_run(run_id)
        for folder in (*gone, *([f"models/{model}"] if model else [])):
            for path in self.home.glob(f"artifacts/*/{folder}"):
                shutil.rmtree(path)
        if model:
            store._hard_delete_logged_model(model)
        if experiment:
            store._hard_delete_experiment(experiment)


@cache
def _store(home: Path) -> Any:
    """Return what MLflow keeps runs in, with what a client may not do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what MLflow 3.17 asks of SQLAlchemy
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        return SqlAlchemyStore(f"sqlite:///{home}/mlflow.db", str(home / "artifacts"))
