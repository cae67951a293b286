"""What release 0.1.0 left on disk is migrated, served, trained on and rolled back to."""

import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from pydantic import TypeAdapter

from include.adapters.registry import RegistryWatch, connect
from include.context.step_context import StepContext, step_context
from include.metrics import objective
from include.records.judging import Decision
from include.records.moves import RollBack
from include.records.packing import pack
from include.records.training import Form, Trial
from include.settings import read_settings
from include.spec.model_spec import Gate
from include.spec.spec_files import read_spec
from include.stages.decide import decide
from include.steps.migrate import migrate
from tests import steps
from tests.contract.pipeline import drop, rows, run, stored_rows, take_in
from tests.released.make import ARCHIVE
from tests.serving.processes import Server, until
from tests.serving.registries import MlflowServer, free_port

OWN = ["batch", "side", "label", "key_high", "key_low"]
PROMOTED = ["1", "2", "3"]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, MlflowServer]]:
    """Return the home that release 0.1.0 left, and MLflow on its registry."""
    home = tmp_path_factory.mktemp("released")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(home, filter="data")
    server = MlflowServer(home / "mlflow")
    yield home, server
    server.stop()


@pytest.fixture
def loans(released: tuple[Path, MlflowServer]) -> StepContext:
    """Return the context of the spec with texts, gaps and an id."""
    return _context(*released, "loans")


def test_the_table_knows_its_rows_again(loans: StepContext) -> None:
    """The archived files bring no row that is new, and every row keeps its side."""
    before = rows(loans).sort("key_high", "key_low")
    for path in sorted(Path(loans.settings.home).glob("lake/loans/archive/**/*.csv")):
        drop(loans, path.read_text(), f"again-{path.name}")
    drop(loans, before.drop(OWN).with_columns(defaulted=pl.lit("No")).head(5), "others.csv")
    intake = take_in(loans)
    assert sum(batch.new for batch in intake.batches) == 0
    assert rows(loans).sort("key_high", "key_low").equals(before)


@pytest.mark.parametrize("is_registry_away", [False, True])
def test_the_server_answers_as_the_older_one_did(
    released: tuple[Path, MlflowServer], tmp_path: Path, *, is_registry_away: bool
) -> None:
    """From the registry, and from the copies that the older server left; bit for bit."""
    home, mlflow = released
    if is_registry_away:
        shutil.copytree(home / "serving", tmp_path / "serving")
    url = "http://127.0.0.1:1" if is_registry_away else mlflow.url
    server = Server(free_port(), tmp_path, SERVING_REGISTRY_URL=url)
    try:
        for model in ("loans-model", "sensors-model"):
            until(partial(_is_ready, server, model), 120)
            last = [one for one in _answers(home) if one["model"] == model][-1]
            response = httpx.post(
                f"{server.url}/v2/models/{model}/infer", json=last["request"], timeout=30
            )
            answer = response.json()
            assert response.status_code == 200, answer
            assert answer["model_version"] == last["version"]
            assert {out["name"]: out["data"] for out in answer["outputs"]} == last["outputs"]
    finally:
        server.kill()


def test_models_of_both_releases_are_served_side_by_side(
    released: tuple[Path, MlflowServer], tmp_path: Path
) -> None:
    """A model of this release takes over beside one of 0.1.0, and gives way to its older one."""
    context = _context(*released, "sensors")
    older = context.registry.champion.current()
    assert older is not None
    frame = rows(context).sample(600, seed=0)
    fault = frame["label"].alias("fault")
    drop(context, frame.drop(OWN).with_columns(pl.all() + 0.002).with_columns(fault))
    done = run(context, Form(force=True, note="side by side"))
    assert done.decision.verdict == "PROMOTE", done.decision.reason
    server = Server(free_port(), tmp_path, SERVING_REGISTRY_URL=released[1].url)
    try:
        until(partial(_is_ready, server, "loans-model"), 120)
        assert _answers_by(server, released[0], "loans-model", PROMOTED[1])
        version = done.challenger.version
        until(partial(_answers_by, server, released[0], "sensors-model", version), 120)
        steps.roll_back(context, RollBack("test", 1, "side by side", "a person"))
        until(partial(_answers_by, server, released[0], "sensors-model", older.version), 120)
    finally:
        server.kill()


def test_the_log_of_moves_goes_on(loans: StepContext) -> None:
    """Three promotions and a way back stand there; the next way back leads to the first."""
    moves = loans.registry.champion.moves()
    assert [move.version for move in moves] == [*PROMOTED, "2"]
    moved = steps.roll_back(loans, RollBack("test", 1, "further back", "a person"))
    assert moved.version == "1"
    champion = loans.registry.champion.current()
    assert champion is not None
    assert champion.version == "1"


def test_the_next_delivery_is_trained_on(released: tuple[Path, MlflowServer]) -> None:
    """The older champion is judged on the same rows, and proves that it saw none of them."""
    context = _context(*released, "sensors")
    frame = rows(context).drop(OWN).head(300)
    drop(context, (frame + 0.001).with_columns(fault=pl.Series([0, 1, 0] * 100)))
    done = run(context)
    assert done.scores.champion is not None
    assert done.decision.verdict in {"HOLD", "PROMOTE", "REJECT"}


def test_what_was_decided_is_read(released: tuple[Path, MlflowServer]) -> None:
    """Scorecards, slices and trials of every run; the same scores have the same verdict again."""
    stored = [json.loads(path.read_text()) for path in released[0].rglob("decision.json")]
    assert stored
    for fields in stored:
        decision = TypeAdapter(Decision).validate_python(fields)
        metric = objective(decision.scores.metric)
        card = fields["scores"]["challenger"]
        assert decision.scores.challenger.value(metric) == card["f1"]
        assert pack(decision)["scores"]["challenger"] == card
        form = Form(force=decision.forced, note=decision.note)
        again = decide(decision.scores, form, Gate())
        assert again.verdict is decision.verdict
    lines = [
        line
        for path in released[0].rglob("leaderboard.json")
        for line in json.loads(path.read_text())
    ]
    for line in lines:
        if line["f1"] is not None:
            trial = TypeAdapter(Trial).validate_python(line)
            assert (trial.value, list(trial.fold_values)) == (line["f1"], line["fold_f1"])


def test_what_was_scored_on_arrival_is_read(loans: StepContext) -> None:
    """The newest point is shown, and no batch is scored again."""
    assert loans.registry.arrivals.data_versions()
    connection = connect(loans.settings.registry_url, loans.spec.name, loans.spec.model)
    reading = RegistryWatch(connection, loans.spec.gate.metric).look()
    assert reading.arrival is not None
    assert 0 < reading.arrival.value <= 1
    names = {name for run in reading.runs for name in run.metrics}
    assert {"challenger_f1", "champion_f1"} <= names


def test_the_same_deliveries_come_to_as_many_rows_of_each_class_and_side(
    loans: StepContext, new_context: Callable[[], StepContext]
) -> None:
    """Batch by batch as in 0.1.0, with the same rows new, known and refused.

    Which rows those of the holdout are is another matter: the salted order is one of keys, and the
    keys are other ones. Rows are compared by their features where no column is their id, as 0.1.0
    always did.
    """
    again = new_context()
    data = loans.spec.data.model_copy(update={"id": None, "exclude": ("loan_id",)})
    named = {"name": again.spec.name, "data": data}
    again = replace(again, spec=loans.spec.model_copy(update=named))
    names = {path.name: path for path in Path(loans.lake.url).glob("archive/*/*")}
    before = stored_rows(loans)
    for name in ("january.csv", "february.csv", "march.jsonl"):
        again.landing.drop(name, names[name])
        (batch,) = take_in(again).batches
        assert batch.new == before.filter(batch=batch.digest).height
    counted = before.group_by("batch", "side", "label").len().sort("batch", "side", "label")
    after = stored_rows(again)
    assert (
        after.group_by("batch", "side", "label")
        .len()
        .sort("batch", "side", "label")
        .equals(counted)
    )
    sides = before.join(after, on=["key_high", "key_low"], how="inner")
    assert sides.height == before.height
    assert sides.filter(pl.col("side") != pl.col("side_right")).height


def test_the_request_log_is_read(released: tuple[Path, MlflowServer]) -> None:
    """A row for each row of a request, its features by name."""
    logged = pl.concat(
        pl.read_parquet(path)
        for path in (released[0] / "requests").rglob("loans-model/**/*.parquet")
    )
    assert {"time", "request_id", "row", "probability", "age", "plan"} <= {*logged.columns}
    assert logged.height


def _context(home: Path, mlflow: MlflowServer, name: str) -> StepContext:
    settings = read_settings(
        {
            "RATCHET_HOME": str(home),
            "RATCHET_SPECS": str(home / "specs"),
            "RATCHET_MLFLOW_PORT": mlflow.url.rpartition(":")[2],
        }
    )
    context = step_context(read_spec(home / "specs" / f"{name}.toml"), settings)
    list(migrate(context))
    return context


def _is_ready(server: Server, model: str) -> bool:
    return server.status(f"/v2/models/{model}/ready") == 200


def _answers_by(server: Server, home: Path, model: str, version: str) -> bool:
    """Say whether a version answers what 0.1.0 was asked of its model."""
    asked = next(one for one in _answers(home) if one["model"] == model)
    url = f"{server.url}/v2/models/{model}/infer"
    answer = httpx.post(url, json=asked["request"], timeout=30)
    return answer.status_code == httpx.codes.OK and answer.json()["model_version"] == version


def _answers(home: Path) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = json.loads((home / "answers.json").read_text())
    return answers
