"""What the registry keeps of a model, changed behind its back: the exporter and `status` say so."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import pytest

from demo.data import pulsar_rows
from include.adapters.registry import Artifacts, connect
from include.context.step_context import StepContext
from include.monitoring.exporter import ARTIFACTS_SECONDS, ArtifactWatch
from include.records.ledger_state import Artifact, ArtifactsReading
from stack.artifacts import altered_artifacts
from tests.contract.pipeline import drop, run
from tests.contract.test_exporter import Clock, Source
from tests.logs import messages_of

Deed = Callable[[StepContext, Path], None]


@pytest.fixture(scope="module")
def registry_url(mlflow_url: str) -> str:
    """Return MLflow's server: files are read and altered behind its proxy."""
    return mlflow_url


@pytest.fixture(scope="module")
def promoted(new_context: Callable[[], StepContext]) -> StepContext:
    """Return a context with a champion."""
    context = new_context()
    drop(context, pulsar_rows(600, seed=9))
    run(context)
    return context


@pytest.fixture
def folder(promoted: StepContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the server keeps the files of the champion."""
    uri = mlflow.MlflowClient().get_model_version_download_uri(promoted.spec.model, "1")
    path = urlsplit(uri).path.strip("/")
    (found,) = tmp_path_factory.getbasetemp().glob(f"mlflow[0-9]*/artifacts/{path}")
    return found


def artifacts(context: StepContext) -> Artifacts:
    """Return a check of a context's files."""
    return Artifacts(connect(context.settings.registry_url, context.spec.name, context.spec.model))


def append(file: Path) -> None:
    """Add a byte at the end."""
    with file.open("ab") as opened:
        opened.write(b" ")


def foreign(context: StepContext, folder: Path) -> None:
    """Take the tag away that the registration wrote."""
    del folder
    mlflow.MlflowClient().delete_model_version_tag(context.spec.model, "1", "ratchet.digest")


def misread(context: StepContext, folder: Path) -> None:
    """Leave a tag of digests that is none."""
    del folder
    mlflow.MlflowClient().set_model_version_tag(context.spec.model, "1", "ratchet.files", "[1]")


def restored(context: StepContext, tags: Mapping[str, str]) -> None:
    """Write the tags again."""
    for name in ("ratchet.digest", "ratchet.files"):
        mlflow.MlflowClient().set_model_version_tag(context.spec.model, "1", name, tags[name])


def in_its_place_a_folder(context: StepContext, folder: Path) -> None:
    """Leave a folder where the model file was."""
    del context
    (folder / "model.joblib").unlink()
    (folder / "model.joblib").mkdir()
    (folder / "model.joblib" / "x").touch()


DEEDS: dict[str, tuple[Deed, str]] = {
    "model changed": (
        lambda _, folder: append(folder / "model.joblib"),
        "model.joblib was changed",
    ),
    "manifest changed": (
        lambda _, folder: append(folder / "bundle.json"),
        "bundle.json was changed",
    ),
    "model emptied": (
        lambda _, folder: os.truncate(folder / "model.joblib", 0),
        "model.joblib was",
    ),
    "model gone": (lambda _, folder: (folder / "model.joblib").unlink(), "model.joblib is gone"),
    "manifest gone": (lambda _, folder: (folder / "bundle.json").unlink(), "bundle.json is gone"),
    "MLflow's description changed": (lambda _, folder: append(folder / "MLmodel"), "MLmodel was"),
    "MLflow's description gone": (lambda _, folder: (folder / "MLmodel").unlink(), "MLmodel is"),
    "a list of packages changed": (
        lambda _, folder: append(folder / "requirements.txt"),
        "requirements.txt was changed",
    ),
    "digests changed": (misread, "has a tag ratchet.files"),
    "a folder in place of the model": (in_its_place_a_folder, "model.joblib is gone"),
    "another tool's": (foreign, "has no tag ratchet.digest"),
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS.keys())
def test_a_deed_is_seen_by_both_and_its_mend_too(
    promoted: StepContext, folder: Path, deed: tuple[Deed, str]
) -> None:
    """The exporter says which file and what of it, `make status` says that it is so."""
    context, (does, sentence) = promoted, deed
    settings = replace(context.settings, metrics_port=1)
    watching = artifacts(context)
    tags = mlflow.MlflowClient().get_model_version(context.spec.model, "1").tags
    kept = {one: one.read_bytes() for one in folder.iterdir() if one.is_file()}
    assert watching.check() == ArtifactsReading((Artifact("1", ""),))
    assert not any(context.spec.model in line for line in altered_artifacts(settings))
    does(context, folder)
    (found,) = watching.check().artifacts
    assert sentence in found.problem
    assert any(
        f"{context.spec.model} version 1 in MLflow" in line for line in altered_artifacts(settings)
    )
    for file, content in kept.items():
        if file.is_dir():
            shutil.rmtree(file)
        file.write_bytes(content)
    restored(context, tags)
    assert watching.check() == ArtifactsReading((Artifact("1", ""),))
    assert not any(context.spec.model in line for line in altered_artifacts(settings))


def test_a_model_that_is_not_there_yet_has_no_files(new_context: Callable[[], StepContext]) -> None:
    """Nor has one that no alias names."""
    context = new_context()
    watching = artifacts(context)
    assert watching.check() == ArtifactsReading(())
    mlflow.MlflowClient().create_registered_model(context.spec.model)
    assert watching.check() == ArtifactsReading(())


def test_what_is_altered_is_logged_once(
    promoted: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at each look; it is read seldom, but soon again while it cannot be read at all."""
    said, source = ArtifactsReading((Artifact("1", "model.joblib is gone"),)), Source()

    def look() -> ArtifactsReading:
        source.look()
        return said

    watch = ArtifactWatch(promoted.spec, look, Clock())
    source.away = True
    watch.look()
    assert watch.pause_seconds < ARTIFACTS_SECONDS
    source.away = False
    for _ in range(3):
        watch.look()
    assert watch.pause_seconds == ARTIFACTS_SECONDS
    told = [line for line in messages_of(caplog, "ratchet") if "not what was registered" in line]
    assert len(told) == 1
    assert "version 1 in MLflow" in told[0]
