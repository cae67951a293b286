"""What people do in MLflow beside the pipeline."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from mlflow.exceptions import MlflowException

from include.records.moves import Move, MoveKind
from tests.contract.deed_world import LEDGER, MOVES, RUNS, SPEC, World

NEW_YEAR = "2026-01-01T00:00:00.000000+00:00"


def experiment_deleted(world: World, tag: str = SPEC, *, for_good: bool = False) -> None:
    """Delete an experiment, with `for_good` out of the bin too."""
    place = world.experiment(tag).experiment_id
    world.client.delete_experiment(place)
    if for_good:
        world.emptied_bin(experiment=place)


def experiment_restored(world: World) -> None:
    """Delete the experiment and think again."""
    place = world.experiment().experiment_id
    world.client.delete_experiment(place)
    world.client.restore_experiment(place)


def experiment_renamed(world: World, tag: str = SPEC, *, made_again: bool = False) -> None:
    """Give an experiment another name, and its own to a new one."""
    experiment = world.experiment(tag)
    world.client.rename_experiment(experiment.experiment_id, f"renamed {next(RUNS)}")
    if made_again:
        world.client.create_experiment(experiment.name)


def experiment_tagged(world: World, value: str | None, tag: str = SPEC) -> None:
    """Take its tag from an experiment, or change it."""
    place = world.experiment(tag).experiment_id
    if value is None:
        world.client.delete_experiment_tag(place, tag)
    else:
        world.client.set_experiment_tag(place, tag, value)


def experiment_disguised(world: World, tag: str = SPEC) -> None:
    """Give an experiment another name and take its tag."""
    place = world.experiment(tag).experiment_id
    world.client.rename_experiment(place, f"renamed {next(RUNS)}")
    world.client.delete_experiment_tag(place, tag)


def experiment_doubled(world: World) -> None:
    """Make another experiment that looks like this one's, and put this one into the bin."""
    place = world.experiment().experiment_id
    tags = {SPEC: world.at.spec.name}
    world.client.create_experiment(f"copy {next(RUNS)}", tags=tags)
    world.client.rename_experiment(place, f"renamed {next(RUNS)}")
    world.client.delete_experiment(place)


def run_of(world: World, which: str) -> str:
    """Return the log of moves, the training of now or that of the champion."""
    if which == "log":
        return world.tag(MOVES)
    if which == "champion":
        return world.trained(world.alias())
    assert world.plan is not None
    return world.plan.run_id


def run_untagged(world: World, which: str, names: tuple[str, ...]) -> None:
    """Take tags from a run."""
    for name in names:
        with suppress(MlflowException):
            world.client.delete_tag(run_of(world, which), name)


def run_edited(world: World, which: str) -> None:
    """Rename a run, describe it, end it, and change what Ratchet wrote on it."""
    run_id = run_of(world, which)
    world.client.update_run(run_id, status="FAILED", name="my best run")
    tags = ("mlflow.note.content", "ratchet.verdict", "ratchet.data_version", "ratchet.dag_run")
    for name in tags:
        world.client.set_tag(run_id, name, "what?")


def run_emptied(world: World, which: str) -> None:
    """Delete every artifact of a run."""
    for folder in world.home.glob(f"artifacts/*/{run_of(world, which)}"):
        shutil.rmtree(folder)


def every_run_deleted(world: World, tag: str = SPEC) -> None:
    """Delete all runs of an experiment, as on its page, with all of them ticked."""
    place = world.experiment(tag).experiment_id
    for run in world.client.search_runs([place]):
        world.client.delete_run(run.info.run_id)


def log_forged(world: World) -> None:
    """Write into the log of moves that a version which never was is champion."""
    number = 80 + len(world.numbers())
    move = Move(MoveKind.ROLL_BACK, "999", "forged", "Ada", "why not", number, at=NEW_YEAR)
    world.client.log_param(world.tag(MOVES), f"{number:06d}", json.dumps(asdict(move)))


def run_deleted(world: World, which: str, *, for_good: bool = False) -> None:
    """Delete the log of moves, the training of now or that of the champion."""
    run_id = run_of(world, which)
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


def model_renamed_and_back(world: World) -> None:
    """Give the registered model another name, and its own again."""
    name = f"renamed-{next(RUNS)}"
    world.client.rename_registered_model(world.model, name)
    world.client.rename_registered_model(name, world.model)


def model_made_of_copies(world: World) -> None:
    """Delete the registered model and register its newest version by hand, from its page."""
    newest = world.client.get_model_version(world.model, world.numbers()[-1])
    model_deleted(world, made_again=True)
    made = world.client.create_model_version(
        world.model, newest.source, newest.run_id, tags=newest.tags
    )
    world.client.set_registered_model_alias(world.model, "champion", made.version)


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


def champion_registered_again(world: World, *, tagged: bool) -> None:
    """Register the champion's model once more, and make that the champion."""
    old = world.client.get_model_version(world.model, world.alias())
    tags = old.tags if tagged else {}
    made = world.client.create_model_version(world.model, old.source, old.run_id, tags=tags)
    world.client.set_registered_model_alias(world.model, "champion", made.version)


def aliases_on_oldest(world: World, *, its_run: str) -> None:
    """Put all aliases on the oldest version, and delete the run that made it."""
    for name in ("champion", "previous_champion", "challenger"):
        alias_moved(world, name)
    if its_run:
        run_id = world.trained(world.numbers()[0])
        world.client.delete_run(run_id)
        if its_run == "deleted for good":
            world.emptied_bin(run=run_id)


def version_tagged(world: World, which: str, name: str, value: str | None) -> None:
    """Change a tag of the champion or the newest version, or take it away."""
    number = number_of(world, which)
    if value is None:
        world.client.delete_model_version_tag(world.model, number, name)
    else:
        world.client.set_model_version_tag(world.model, number, name, value)


def number_of(world: World, which: str) -> str:
    """Return the number of the champion or of the newest version."""
    return world.alias() if which == "champion" else world.numbers()[-1]


def artifact(world: World, which: str, name: str, *, altered: bool = False) -> None:
    """Delete a file of the champion or of the newest version, all of them, or alter it."""
    number = number_of(world, which)
    folder = world.files(number) if number else Path("/nowhere")
    if not (folder / name).exists():
        return
    if altered:
        (folder / name).write_bytes(b"something else")
    elif name:
        (folder / name).unlink()
    else:
        shutil.rmtree(folder)


def artifacts_of_another(world: World, which: str) -> None:
    """Put the files of the oldest version in the place of those of the champion or the newest."""
    source, target = world.files(world.numbers()[0]), world.files(number_of(world, which))
    if source != target and target.exists() and source.exists():
        shutil.rmtree(target)
        shutil.copytree(source, target)


def logged_model_deleted(world: World, which: str, *, for_good: bool = False) -> None:
    """Delete what MLflow calls a logged model, which a version's files belong to."""
    source = world.client.get_model_version(world.model, number_of(world, which)).source
    model_id = source.rpartition("/")[2]
    world.client.delete_logged_model(model_id)
    if for_good:
        world.emptied_bin(model=model_id)


DEEDS: dict[str, Callable[[World], None]] = {
    "experiment deleted": experiment_deleted,
    "experiment deleted for good": partial(experiment_deleted, for_good=True),
    "experiment deleted and restored": experiment_restored,
    "experiment renamed": experiment_renamed,
    "experiment renamed and made again": partial(experiment_renamed, made_again=True),
    "experiment untagged": partial(experiment_tagged, value=None),
    "experiment renamed and untagged": experiment_disguised,
    "ledger deleted": partial(experiment_deleted, tag=LEDGER),
    "ledger deleted for good": partial(experiment_deleted, tag=LEDGER, for_good=True),
    "ledger renamed": partial(experiment_renamed, tag=LEDGER),
    "ledger renamed and made again": partial(experiment_renamed, tag=LEDGER, made_again=True),
    "ledger renamed and untagged": partial(experiment_disguised, tag=LEDGER),
    "ledger: tag names another spec": partial(experiment_tagged, value="another", tag=LEDGER),
    "ledger: every run deleted": partial(every_run_deleted, tag=LEDGER),
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
    "champion: digests of files are nonsense": partial(
        version_tagged, which="champion", name="ratchet.files", value="x"
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
    "experiment in the bin under another name, with a double": experiment_doubled,
    "experiment: tag names another spec": partial(experiment_tagged, value="another"),
    "every run deleted": every_run_deleted,
    "log of moves untagged": partial(run_untagged, which="log", names=(MOVES, "ratchet.kind")),
    "log of moves edited": partial(run_edited, which="log"),
    "log of moves forged": log_forged,
    "training untagged": partial(run_untagged, which="training", names=(SPEC, "ratchet.dag_run")),
    "training edited": partial(run_edited, which="training"),
    "training emptied": partial(run_emptied, which="training"),
    "champion's training edited": partial(run_edited, which="champion"),
    "champion's training emptied": partial(run_emptied, which="champion"),
    "model renamed and back": model_renamed_and_back,
    "model deleted and made of a copy": model_made_of_copies,
    "model: tag names another spec": partial(model_tagged, name=SPEC, value="another"),
    "champion registered again without tags": partial(champion_registered_again, tagged=False),
    "champion registered again with its tags": partial(champion_registered_again, tagged=True),
    "all aliases on the oldest": partial(aliases_on_oldest, its_run=""),
    "all aliases on one whose run is deleted": partial(aliases_on_oldest, its_run="deleted"),
    "all aliases on one whose run is deleted for good": partial(
        aliases_on_oldest, its_run="deleted for good"
    ),
    "champion: files of another version": partial(artifacts_of_another, which="champion"),
    "newest version: files of another version": partial(artifacts_of_another, which="newest"),
    "champion: logged model deleted": partial(logged_model_deleted, which="champion"),
    "champion: logged model deleted for good": partial(
        logged_model_deleted, which="champion", for_good=True
    ),
    "newest version: logged model deleted": partial(logged_model_deleted, which="newest"),
}
MOMENTS = (
    "before plan",
    "before fit",
    "before score",
    "before promote",
    "before serve",
    "before roll back",
)
