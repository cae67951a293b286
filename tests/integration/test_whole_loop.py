"""The real Airflow, MLflow and server: from a dropped file to the champion's answer.

The tests tell one story in their order; each also stands for a promise of its own.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import joblib
import mlflow
import numpy as np
import polars as pl
import pytest
from mlflow import MlflowClient

from demo.data import pulsar_rows
from demo.follow import Followed
from include.settings import PROJECT
from stack.processes import marked_processes
from tests.integration.real_stack import Stack, quick_spec

FIRST = pulsar_rows(2000, seed=1)
EVERY_MINUTE = quick_spec("minutes").replace("0 3 * * *", "* * * * *")


@pytest.fixture(scope="module", autouse=True)
def _tracking_uri(stack: Stack) -> Iterator[None]:
    """Ask the stack's MLflow, and no longer than there is one."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(stack.settings.registry_url)
    yield
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module", autouse=True)
def _minutes(stack: Stack) -> None:
    """Add a spec that is due every minute, for the one test that waits for its schedule."""
    (stack.settings.specs / "minutes.toml").write_text(EVERY_MINUTE)


def test_a_dropped_file_becomes_a_served_champion(stack: Stack) -> None:
    """The first file is trained on, promoted and answered from without another touch."""
    run = stack.deliver("pulsars", "first.csv", FIRST.write_csv())
    assert run.state == "success", run
    (batch,) = run.results["data.split"]["batches"]
    assert (batch["read"], batch["new"], batch["refused"]) == (2000, 2000, 0)
    assert run.results["preflight"]["needed"]
    assert run.results["preflight"]["passed"]
    assert run.results["promote"]["verdict"] == "PROMOTE"
    assert run.results["serve"]["version"] == "1"
    answer = _ask(stack, "pulsars", FIRST)
    assert answer["model_version"] == "1"
    assert [output["name"] for output in answer["outputs"]] == ["probability", "label"]


def test_the_registry_holds_what_a_reader_needs(stack: Stack) -> None:
    """The champion has signature, example, `model.joblib`, pictures and a decision."""
    client = MlflowClient(stack.settings.registry_url)
    champion = client.get_model_version_by_alias("pulsars", "champion")
    model = mlflow.models.get_model_info(f"models:/pulsars/{champion.version}")
    assert model.signature is not None
    assert model.saved_input_example_info is not None
    uri = client.get_model_version_download_uri("pulsars", champion.version)
    path = mlflow.artifacts.download_artifacts(f"{uri}/model.joblib")
    X = FIRST.drop("class").to_numpy().astype(np.float32)
    probability = joblib.load(path).predict_proba(X)[:, 1]
    asked = _outputs(_ask(stack, "pulsars", FIRST))
    assert np.allclose(asked["probability"], probability, atol=1e-6)
    run = client.get_run(champion.run_id)
    assert {"challenger_f1", "challenger_roc_auc", "challenger_brier"} <= run.data.metrics.keys()
    assert {"ratchet.data_version", "ratchet.code", "ratchet.library.xgboost-cpu"} <= (
        run.data.tags.keys()
    )
    pictures = {file.path for file in client.list_artifacts(champion.run_id, "pictures")}
    assert {f"pictures/{name}.png" for name in ("roc", "calibration")} <= pictures
    decision = json.loads(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/decision.json"))
    assert decision["verdict"] == "PROMOTE"
    nested = client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{champion.run_id}'"
    )
    candidates = [one for one in nested if not one.info.run_name.startswith("soft_vote")]
    assert len(candidates) == 7  # every candidate of the four families


def test_the_schedule_starts_a_run_by_itself(stack: Stack) -> None:
    """A spec whose cron says every minute runs, and skips because nothing has ever landed."""
    stack.airflow.await_dag("minutes", patience_seconds=120)
    run_id = stack.airflow.await_new_run("minutes", [], patience_seconds=130)
    assert run_id.startswith("scheduled__")
    deadline = time.monotonic() + 60
    while stack.airflow.run_state("minutes", run_id) != "success":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    (plan,) = [task for task in stack.airflow.tasks("minutes", run_id) if task.name == "plan"]
    reason = stack.airflow.result("minutes", run_id, plan, "skipped_because")
    assert "no row has ever landed" in reason
    # It would start a run every minute beside all that follows.
    (stack.settings.specs / "minutes.toml").unlink()


def test_the_same_bytes_under_another_name_are_a_no_op(stack: Stack) -> None:
    """A repeated file starts a run that says so and skips the training."""
    run = stack.deliver("pulsars", "again.csv", FIRST.write_csv())
    assert run.state == "success"
    assert "ingested before" in run.results["data.ingest"][0]["note"]
    assert "no row is new" in run.skipped_because
    assert _states(run, "fit") == {"skipped"}


def test_a_second_spec_needs_no_line_of_code(stack: Stack) -> None:
    """A TOML file makes a Dag, a landing folder, a table, a registered model and an endpoint."""
    stack.await_spec("quasars")
    run = stack.deliver("quasars", "first.csv", pulsar_rows(600, seed=5).write_csv())
    assert run.results["serve"]["model"] == "quasars"
    assert (Path(stack.settings.lake_url) / "quasars" / "rows" / "_delta_log").is_dir()
    assert _ask(stack, "quasars", FIRST)["model_name"] == "quasars"


def test_bad_rows_and_bad_files_end_in_quarantine(stack: Stack) -> None:
    """A bad row is kept with line, column, reason and text; a bad file is kept whole."""
    more = pulsar_rows(300, seed=2)
    lines = more.write_csv().splitlines()
    lines[3] = lines[3].replace(lines[3].split(",")[0], "broken", 1)
    run = stack.deliver("quasars", "more.csv", "\n".join(lines) + "\n")
    (batch,) = run.results["data.split"]["batches"]
    assert (batch["new"], batch["refused"]) == (299, 1)
    quarantine = Path(stack.settings.lake_url) / "quasars" / "quarantine"
    (row,) = pl.read_csv(quarantine / batch["digest"] / "rows.csv").iter_rows(named=True)
    assert (row["line"], row["column"], row["reason"]) == (4, "profile_0", "not a number")
    assert row["raw"] == lines[3]
    refused = stack.deliver("quasars", "other.csv", more.drop("class").write_csv())
    note = refused.results["data.ingest"][0]["note"]
    assert "no target column 'class'" in note
    digest = refused.results["data.ingest"][0]["digest"]
    assert (quarantine / digest / "other.csv").is_file()


def test_the_button_trains_again_and_force_is_written_down(stack: Stack) -> None:
    """The form's note, retrain and force reach the decision and the MLflow run."""
    form = {"no_new_data": "retrain", "force": True, "note": "asked for by the test"}
    run = stack.press("quasars", time.time(), **form)
    assert run.state == "success", run
    decision = run.results["promote"]
    assert decision["verdict"] == "PROMOTE"
    assert decision["note"] == "asked for by the test"
    assert decision["forced"] == (not all(check["passed"] for check in decision["checks"]))
    assert _ask(stack, "quasars", FIRST)["model_version"] == run.results["serve"]["version"]
    client = MlflowClient(stack.settings.registry_url)
    aliases = client.get_registered_model("quasars").aliases
    assert aliases["champion"] == run.results["serve"]["version"]
    assert aliases["previous_champion"] != aliases["champion"]


def test_too_few_rows_of_a_class_skip_with_the_counts(stack: Stack) -> None:
    """Ten rows are committed, and the run says why they are not trained on."""
    stack.await_spec("rare")
    few = pulsar_rows(2000, seed=3).group_by("class", maintain_order=True).head(5)
    run = stack.deliver("rare", "few.csv", few.write_csv())
    assert run.results["data.split"]["batches"][0]["new"] == 10
    assert "too few rows of a class for 5 folds" in run.skipped_because
    assert "train 4 negative, 4 positive" in run.skipped_because


def test_a_killed_server_comes_back_with_the_champion(stack: Stack) -> None:
    """The supervisor restarts it and it loads the champion by itself."""
    before = _ask(stack, "pulsars", FIRST)["model_version"]
    (server,) = marked_processes(stack.settings.home, "serving")
    server.process.kill()
    server.process.wait(10)
    deadline = time.monotonic() + 60
    while (version := _version(stack, "pulsars")) != before:
        assert time.monotonic() < deadline, version
        time.sleep(0.3)


def test_one_row_from_the_command_line(stack: Stack) -> None:
    """`serving/request.py` asks about one row and prints a readable answer."""
    url = stack.settings.serving_url
    asked = [sys.executable, "serving/request.py", "--model", "pulsars", "--url", url]
    answer = subprocess.run(asked, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "pulsars" in answer.stdout
    assert "probability" in answer.stdout


def _ask(stack: Stack, model: str, frame: pl.DataFrame) -> dict[str, Any]:
    X = frame.drop("class").to_numpy()
    tensor = {"name": "rows", "shape": list(X.shape), "datatype": "FP64", "data": X.tolist()}
    url = f"{stack.settings.serving_url}/v2/models/{model}/infer"
    answer = httpx.post(url, json={"inputs": [tensor]})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def _outputs(answer: dict[str, Any]) -> dict[str, list[float]]:
    return {output["name"]: output["data"] for output in answer["outputs"]}


def _version(stack: Stack, model: str) -> str | None:
    try:
        answer = httpx.get(f"{stack.settings.serving_url}/v2/models/{model}/ready")
    except httpx.HTTPError:
        return None
    return str(answer.json().get("version"))


def _states(run: Followed, name: str) -> set[str]:
    return {task.state for task in run.tasks if task.name == name}
