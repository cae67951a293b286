"""What people do in MLflow beside the pipeline, and a small world to do it in."""

import re
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from include import commands, steps
from include.errors import ModelRefusedError, RatchetError, TakenError
from include.moves import Move, MoveKind, RollBack
from include.records import Decision, Form, Intake, ModelVersion, Plan
from include.workplace import Workplace

RUNS = (f"deed__{number}" for number in count())
FORM = Form(force=True, no_new_data="retrain")
MOVES = "ratchet.moves"


@dataclass
class World:
    """A spec with an experiment and a registered model, and the MLflow server behind them."""

    at: Workplace
    intake: Intake
    home: Path
    """The folder of the server."""
    fit: Callable[[Workplace, Plan], ModelVersion]
    """Registers a model as the task `fit` does, only sooner."""
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
                with suppress(MlflowException):  # of what is not there nothing can be done
                    do(self)

        now("before plan")
        self.plan = steps.plan(self.at, self.intake, FORM, next(RUNS))
        now("before fit")
        self.challenger = self.fit(self.at, self.plan)
        now("before score")
        scores = steps.score(self.at, self.plan, self.challenger)
        now("before promote")
        decision = steps.promote(self.at, self.plan, self.challenger, scores, FORM)
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
        run_id = registry.open_run(next(RUNS), self.intake.dataset.version, {})
        self.plan = Plan(run_id, self.intake.dataset)
        self.challenger = self.fit(self.at, self.plan)
        version, champion = self.challenger.version, registry.champion()
        registry.move(
            Move(MoveKind.PROMOTION, version, f"version {version}", run_id, "better"),
            None if champion is None else champion.version,
        )
        self.client.set_model_version_tag(self.model, version, "ratchet.verdict", "PROMOTE")

    def mend(self, error: RatchetError) -> None:
        """Do what a sentence says that a person has to do."""
        sentence = str(error)
        if isinstance(error, TakenError):
            self.client.set_registered_model_tag(self.model, "ratchet.spec", self.at.spec.name)
        if isinstance(error, ModelRefusedError):
            refused = re.search(r"version (\d+)", sentence)
            assert refused is not None
            assert "delete the version in MLflow" in sentence
            self.client.delete_model_version(self.model, refused[1])

    def promotions(self) -> list[str]:
        """Return what `./ratchet promotions` says."""
        return list(commands.list_promotions(self.at, None))  # type: ignore[arg-type]

    def alias(self, name: str = "champion") -> str:
        """Return the version that an alias names, empty when there is none."""
        found = self.client.search_registered_models(f"name='{self.model}'")
        return str(found[0].aliases.get(name, "")) if found else ""

    def tag(self, name: str) -> str:
        """Return a tag of the registered model."""
        return str(self.client.get_registered_model(self.model).tags.get(name, ""))

    def experiment(self) -> Any:
        """Return the spec's experiment, whatever it is called."""
        tagged = f"tags.`ratchet.spec` = '{self.at.spec.name}'"
        return self.client.search_experiments(view_type=3, filter_string=tagged)[0]

    def numbers(self) -> list[str]:
        """Return the versions there are, the newest last."""
        found = self.client.search_model_versions(f"name='{self.model}'")
        return sorted((str(one.version) for one in found), key=int)

    def files(self, version: str) -> Path:
        """Return the folder of a version's artifacts."""
        source = self.client.get_model_version(self.model, version).source
        (found,) = self.home.glob(f"artifacts/*/models/{source.rpartition('/')[2]}/artifacts")
        return found

    def foreign_version(self) -> str:
        """Register a version as another tool does, and return it."""
        return str(self.client.create_model_version(self.model, "s3://another/model").version)

    def emptied_bin(self, *, experiment: str = "", run: str = "") -> None:
        """Do what `mlflow gc` does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what MLflow 3.17 asks of SQLAlchemy
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

            uri = f"sqlite:///{self.home}/mlflow.db"
            store = SqlAlchemyStore(uri, str(self.home / "artifacts"))
            if experiment:
                store._hard_delete_experiment(experiment)
            if run:
                store._hard_delete_run(run)


def experiment_deleted(world: World, *, for_good: bool = False) -> None:
    """Delete the experiment, with `for_good` out of the bin too."""
    place = world.experiment().experiment_id
    world.client.delete_experiment(place)
    if for_good:
        world.emptied_bin(experiment=place)


def experiment_restored(world: World) -> None:
    """Delete the experiment and think again."""
    place = world.experiment().experiment_id
    world.client.delete_experiment(place)
    world.client.restore_experiment(place)


def experiment_renamed(world: World, *, made_again: bool = False) -> None:
    """Give the experiment another name, and its own to a new one."""
    world.client.rename_experiment(world.experiment().experiment_id, f"renamed {next(RUNS)}")
    if made_again:
        world.client.create_experiment(world.at.spec.name)


def experiment_untagged(world: World) -> None:
    """Take its tag from the experiment."""
    world.client.delete_experiment_tag(world.experiment().experiment_id, "ratchet.spec")


def run_deleted(world: World, which: str, *, for_good: bool = False) -> None:
    """Delete the log of moves, the training of now or that of the champion."""
    if which == "log":
        run_id = world.tag(MOVES)
    elif which == "champion":
        run_id = world.client.get_model_version(world.model, world.alias()).run_id
    else:
        assert world.plan is not None
        run_id = world.plan.run_id
    world.client.delete_run(run_id)
    if for_good:
        world.emptied_bin(run=run_id)


def log_scribbled_in(world: World) -> None:
    """Write into the log of moves what is none."""
    world.client.log_param(world.tag(MOVES), "note", "hello")
    world.client.log_param(world.tag(MOVES), f"{90 + len(world.numbers()):06d}", "hello")


def model_deleted(world: World, *, made_again: bool = False, foreign: bool = False) -> None:
    """Delete the registered model, and make it again by hand or by another tool."""
    world.client.delete_registered_model(world.model)
    if made_again or foreign:
        world.client.create_registered_model(world.model)
    if foreign:
        alias_on_foreign(world)


def model_renamed(world: World) -> None:
    """Give the registered model another name."""
    world.client.rename_registered_model(world.model, f"renamed-{next(RUNS)}")


def model_tagged(world: World, name: str, value: str | None) -> None:
    """Change a tag of the registered model, or take it away."""
    if value is None:
        world.client.delete_registered_model_tag(world.model, name)
    elif value == "the training":
        assert world.plan is not None
        world.client.set_registered_model_tag(world.model, name, world.plan.run_id)
    else:
        world.client.set_registered_model_tag(world.model, name, value)


def version_deleted(world: World, which: str) -> None:
    """Delete the champion, the one before, the newest, or all."""
    chosen = {
        "champion": [world.alias()],
        "previous": [world.alias("previous_champion")],
        "newest": world.numbers()[-1:],
        "all": world.numbers(),
    }
    for number in chosen[which]:
        world.client.delete_model_version(world.model, number)


def alias_deleted(world: World, name: str) -> None:
    """Take an alias away."""
    world.client.delete_registered_model_alias(world.model, name)


def alias_moved(world: World, name: str) -> None:
    """Put an alias on the oldest version."""
    world.client.set_registered_model_alias(world.model, name, world.numbers()[0])


def alias_on_foreign(world: World, name: str = "champion") -> None:
    """Put an alias on a version of another tool."""
    world.client.set_registered_model_alias(world.model, name, world.foreign_version())


def version_tagged(world: World, which: str, name: str, value: str | None) -> None:
    """Change a tag of the champion or the newest version, or take it away."""
    number = world.alias() if which == "champion" else world.numbers()[-1]
    if value is None:
        world.client.delete_model_version_tag(world.model, number, name)
    else:
        world.client.set_model_version_tag(world.model, number, name, value)


def artifact(world: World, which: str, name: str, *, altered: bool = False) -> None:
    """Delete a file of the champion or of the newest version, all of them, or alter it."""
    number = world.alias() if which == "champion" else world.numbers()[-1]
    folder = world.files(number) if number else Path("/nowhere")
    if not (folder / name).exists():
        return
    if altered:
        (folder / name).write_bytes(b"something else")
    elif name:
        (folder / name).unlink()
    else:
        shutil.rmtree(folder)


DEEDS: dict[str, Callable[[World], None]] = {
    "experiment deleted": experiment_deleted,
    "experiment deleted for good": partial(experiment_deleted, for_good=True),
    "experiment deleted and restored": experiment_restored,
    "experiment renamed": experiment_renamed,
    "experiment renamed and made again": partial(experiment_renamed, made_again=True),
    "experiment untagged": experiment_untagged,
    "log of moves deleted": partial(run_deleted, which="log"),
    "log of moves deleted for good": partial(run_deleted, which="log", for_good=True),
    "log of moves scribbled in": log_scribbled_in,
    "training deleted": partial(run_deleted, which="training"),
    "training deleted for good": partial(run_deleted, which="training", for_good=True),
    "champion's training deleted": partial(run_deleted, which="champion"),
    "champion's training deleted for good": partial(run_deleted, which="champion", for_good=True),
    "model deleted": model_deleted,
    "model deleted and made again": partial(model_deleted, made_again=True),
    "model deleted and made by another tool": partial(model_deleted, foreign=True),
    "model renamed": model_renamed,
    "model: tag of the spec lost": partial(model_tagged, name="ratchet.spec", value=None),
    "model: tag of the log lost": partial(model_tagged, name=MOVES, value=None),
    "model: tag of the log is nonsense": partial(model_tagged, name=MOVES, value="what?"),
    "model: tag of the log names a training": partial(
        model_tagged, name=MOVES, value="the training"
    ),
    "champion deleted": partial(version_deleted, which="champion"),
    "champion before deleted": partial(version_deleted, which="previous"),
    "newest version deleted": partial(version_deleted, which="newest"),
    "all versions deleted": partial(version_deleted, which="all"),
    "alias champion deleted": partial(alias_deleted, name="champion"),
    "alias champion moved": partial(alias_moved, name="champion"),
    "alias champion on another tool's version": alias_on_foreign,
    "alias of the champion before deleted": partial(alias_deleted, name="previous_champion"),
    "alias of the champion before moved": partial(alias_moved, name="previous_champion"),
    "alias challenger deleted": partial(alias_deleted, name="challenger"),
    "alias challenger moved": partial(alias_moved, name="challenger"),
    "alias challenger on another tool's version": partial(alias_on_foreign, name="challenger"),
    "champion: digest lost": partial(
        version_tagged, which="champion", name="ratchet.digest", value=None
    ),
    "champion: digest changed": partial(
        version_tagged, which="champion", name="ratchet.digest", value="0" * 64
    ),
    "champion: data version lost": partial(
        version_tagged, which="champion", name="ratchet.data_version", value=None
    ),
    "champion: data version is nonsense": partial(
        version_tagged, which="champion", name="ratchet.data_version", value="x"
    ),
    "champion: table lost": partial(
        version_tagged, which="champion", name="ratchet.table", value=None
    ),
    "champion: verdict lost": partial(
        version_tagged, which="champion", name="ratchet.verdict", value=None
    ),
    "champion: origin is nonsense": partial(
        version_tagged, which="champion", name="ratchet.origin", value="x"
    ),
    "newest version: digest lost": partial(
        version_tagged, which="newest", name="ratchet.digest", value=None
    ),
    "newest version: digest changed": partial(
        version_tagged, which="newest", name="ratchet.digest", value="0" * 64
    ),
    "champion: model altered": partial(
        artifact, which="champion", name="model.joblib", altered=True
    ),
    "champion: model deleted": partial(artifact, which="champion", name="model.joblib"),
    "champion: manifest deleted": partial(artifact, which="champion", name="bundle.json"),
    "champion: all files deleted": partial(artifact, which="champion", name=""),
    "newest version: model altered": partial(
        artifact, which="newest", name="model.joblib", altered=True
    ),
    "newest version: all files deleted": partial(artifact, which="newest", name=""),
}
MOMENTS = (
    "before plan",
    "before fit",
    "before score",
    "before promote",
    "before serve",
    "before roll back",
)
