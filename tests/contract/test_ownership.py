"""Whose a registered model is, on a real MLflow server."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from demo.data import pulsar_rows
from demo.free_ports import free_ports
from include.cli import registry_commands
from include.context.step_context import StepContext, step_context
from include.errors import NothingToDoError, NotOwnerError
from include.records.moves import RollBack
from include.records.training import Form
from include.settings import PROJECT, read_settings
from tests import steps
from tests.contract.pipeline import drop, run, take_in
from tests.logs import messages_of

ROWS = pulsar_rows(400, seed=11)
MORE = pulsar_rows(400, seed=12)


@pytest.fixture(scope="module")
def registry_url(mlflow_url: str) -> str:
    """Return MLflow's server: a command of another process asks it."""
    return mlflow_url


@pytest.fixture(scope="module")
def owner(new_context: Callable[[], StepContext]) -> StepContext:
    """Return the context of a spec that has a champion."""
    context = new_context()
    drop(context, ROWS)
    run(context)
    return context


@pytest.fixture
def newcomer(owner: StepContext) -> StepContext:
    """Return the context of a copy of that spec under a name that sorts earlier."""
    return copy_of(owner)


def copy_of(context: StepContext) -> StepContext:
    """Return a context of the same spec under another name."""
    copied = context.spec.model_copy(update={"name": f"a-{context.spec.name}"})
    return step_context(copied, context.settings)


def refusal(context: StepContext, owner: str) -> str:
    """Return what a newcomer is told, as a pattern."""
    return (
        rf"{context.spec.name}\.toml: model: {context.spec.model} belongs to the spec {owner}.*"
        rf"\./ratchet transfer {context.spec.model} --to {context.spec.name}"
    )


def test_the_first_to_register_owns_the_model(owner: StepContext) -> None:
    """Before that it is nobody's."""
    assert owner.registry.ownership.owner() == owner.spec.name
    owner.registry.ownership.require_owner()


def test_a_newcomer_is_refused_before_its_file_is_claimed(
    owner: StepContext, newcomer: StepContext
) -> None:
    """By name, in its first task; the file waits in its landing place."""
    drop(newcomer, MORE, "waiting.csv")
    with pytest.raises(NotOwnerError, match=refusal(newcomer, owner.spec.name)) as refused:
        steps.ingest(newcomer)
    assert (refused.value.model, refused.value.owner) == (owner.spec.model, owner.spec.name)
    assert Path(newcomer.landing.url, "waiting.csv").exists()


def test_a_newcomer_moves_nothing(owner: StepContext, newcomer: StepContext) -> None:
    """Neither by a run that got as far, nor by a person's command."""
    told = refusal(newcomer, owner.spec.name)
    intake = take_in(owner)
    before = owner.registry.champion.moves()
    with pytest.raises(NotOwnerError, match=told):
        steps.plan(newcomer, intake, Form(), "manual__newcomer")
    with pytest.raises(NotOwnerError, match=told):
        steps.roll_back(newcomer, RollBack("key", 1, "why", by="Ada"))
    for command in ("promotions", "roll-back", "adopt", "judge"):
        with pytest.raises(NotOwnerError, match=told):
            list(registry_commands.run(command, newcomer.spec, newcomer.settings, None))  # type: ignore[arg-type]
    assert owner.registry.champion.moves() == before


def test_a_registry_without_the_tag_knows_by_its_runs(
    owner: StepContext, newcomer: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks first, the tag is written for the spec that made the first version."""
    mlflow.MlflowClient().delete_registered_model_tag(owner.spec.model, "ratchet.spec")
    assert newcomer.registry.ownership.owner() == owner.spec.name
    assert any("had no owner any more" in one for one in messages_of(caplog, "ratchet"))
    tags = mlflow.MlflowClient().get_registered_model(owner.spec.model).tags
    assert tags["ratchet.spec"] == owner.spec.name


@pytest.mark.parametrize("value", ["", "  "])
def test_a_tag_that_says_nothing_is_as_good_as_none(owner: StepContext, value: str) -> None:
    """Nobody is told that the model belongs to a spec without a name."""
    mlflow.MlflowClient().set_registered_model_tag(owner.spec.model, "ratchet.spec", value)
    assert owner.registry.ownership.owner() == owner.spec.name
    tags = mlflow.MlflowClient().get_registered_model(owner.spec.model).tags
    assert tags["ratchet.spec"] == owner.spec.name


def test_a_model_is_handed_over(new_context: Callable[[], StepContext]) -> None:
    """The new owner trains and promotes; the old one is told whose the model is now."""
    old = new_context()
    drop(old, ROWS)
    run(old)
    new = copy_of(old)
    assert new.registry.ownership.transfer("Ada") == old.spec.name
    assert new.registry.ownership.transfer("Ada") == new.spec.name
    tags = mlflow.MlflowClient().get_registered_model(new.spec.model).tags
    assert f"from {old.spec.name} to {new.spec.name} by Ada" in tags["ratchet.transferred"]
    drop(old, MORE)
    with pytest.raises(NotOwnerError, match=refusal(old, new.spec.name)):
        steps.ingest(old)
    drop(new, MORE)
    done = run(new, Form(force=True))
    assert new.registry.champion.moves()[0].version == "1"
    assert done.challenger.version == "2"


def test_nobody_owns_what_is_not_registered(context: StepContext) -> None:
    """A transfer says so; the first run becomes the owner by itself."""
    assert context.registry.ownership.owner() is None
    with pytest.raises(NothingToDoError, match="so it is nobody's"):
        context.registry.ownership.transfer("Ada")


def test_rows_are_taken_in_while_nobody_can_say_whose_the_model_is(context: StepContext) -> None:
    """With MLflow away ingest goes on at once: `plan` waits and looks again."""
    port = free_ports()["RATCHET_MLFLOW_PORT"]
    away = read_settings({"RATCHET_HOME": str(context.settings.home), "RATCHET_MLFLOW_PORT": port})
    alone = step_context(context.spec, away)
    drop(context, ROWS)
    began = time.monotonic()
    (batch,) = steps.ingest(alone)
    assert batch.read == len(ROWS)
    assert time.monotonic() - began < 10
    mlflow.set_tracking_uri(context.settings.registry_url)


def test_the_command_hands_over_and_says_what_to_do(
    new_context: Callable[[], StepContext], tmp_path: Path
) -> None:
    """As typed: for another model, for a spec that is not there, and right."""
    old = new_context()
    drop(old, ROWS)
    run(old)
    from tests.conftest import PULSARS

    (tmp_path / "new.toml").write_text(PULSARS.replace("pulsar-model", old.spec.model))
    environment = {
        **os.environ,
        **replace(old.settings, specs=tmp_path).environment(),
    }

    def typed(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "include", *words],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    code, told = typed("promotions", "new")
    assert code == 1
    assert f"belongs to the spec {old.spec.name}" in told
    code, told = typed("transfer", "other", "--to", "new")
    assert code == 1
    assert f"new.toml: model is {old.spec.model}, not other" in told
    code, told = typed("transfer", old.spec.model, "--to", "new")
    assert code == 0, told
    assert f"{old.spec.model} belongs to the spec new now; before, to {old.spec.name}" in told
    code, told = typed("promotions", "new")
    assert code == 0, told
