"""The ledger of models in MLflow: whatever is repeated is recorded once."""

import warnings
from itertools import count
from pathlib import Path

import mlflow
import numpy as np
import pytest
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from include.adapters.registry import Registry, open_registry
from include.errors import ChampionMovedError, ModelRefusedError
from include.records.judging import Check, Decision, Scorecard, Scores, Verdict
from include.records.models import ModelVersion
from include.records.moves import Move, MoveKind
from include.records.training import Candidate, Trial
from include.spec.model_spec import Family
from include.stages.fit import fit
from include.stages.select import build
from serving.bundle import Layout, Manifest, Value, encode
from tests.judged import F1, score

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 2)).astype(np.float32)
Y = (X[:, 0] > 0.5).astype(np.int8)
MODEL = fit(make_pipeline(GaussianNB()), 0.3, X, Y)
TRIAL = Trial(Candidate("naive_bayes", {"smoothing": 0.1}), 100, 0.5, (0.4, 0.6), 0.3, 1.5)
NAMES = (f"boxes-{number}" for number in count())


@pytest.fixture
def registry(registry_url: str) -> Registry:
    """Return a registry with an experiment and a registered model of its own."""
    name = next(NAMES)
    return open_registry(registry_url, name, name)


@pytest.fixture
def client(registry_url: str) -> mlflow.MlflowClient:
    """Return MLflow's own client, to look behind the registry."""
    return mlflow.MlflowClient(registry_url)


def runs(client: mlflow.MlflowClient, registry: Registry) -> list[mlflow.entities.Run]:
    """Return every run of the registry's experiment."""
    experiment = client.get_experiment_by_name(registry.model)
    return list(client.search_runs([experiment.experiment_id]))


def register(registry: Registry, dag_run: str, data_version: int = 3) -> ModelVersion:
    """Open a run and register the model in it."""
    run_id = registry.runs.open(dag_run, data_version, {})
    manifest = Manifest(
        name=registry.model,
        family="naive_bayes",
        layout=Layout(("height", "width")),
        threshold=0.3,
        labels=("no", "yes"),
        data_version=data_version,
        example=((1.0, 2.0),),
    )
    return registry.versions.register(run_id, MODEL, manifest, ["scikit-learn"], {"shelf": "top"})


def promote(registry: Registry, version: ModelVersion, judged_against: str | None) -> Move:
    """Make a version the champion, as the step of its run does."""
    key = f"version {version.version} over {judged_against}"
    wanted = Move(MoveKind.PROMOTION, version.version, key, version.run_id, "because")
    return registry.champion.move(wanted, judged_against)


def card(version: str) -> Scorecard:
    """Return a scorecard of a model version."""
    return score(Y, np.linspace(0, 1, 100), 0.5, version, 3)


def decision(version: ModelVersion, verdict: Verdict = Verdict.HOLD) -> Decision:
    """Return a decision on a model version."""
    check = Check("no_skill", passed=True, value=0.5, bound=0.2, sentence="it beats it")
    return Decision(verdict, "because", (check,), Scores(card(version.version)))


def test_a_run_of_the_dag_has_one_mlflow_run(
    registry: Registry, client: mlflow.MlflowClient
) -> None:
    """A retried step finds the run of its own Dag run and no other."""
    one = registry.runs.open("manual__1", 3, {"colour": "red"})
    assert registry.runs.open("manual__1", 3, {"colour": "red"}) == one
    assert registry.runs.open("manual__2", 3, {}) != one
    assert len(runs(client, registry)) == 2
    assert client.get_run(one).data.tags["colour"] == "red"


def test_a_trial_said_again_is_the_same_nested_run(
    registry: Registry, client: mlflow.MlflowClient
) -> None:
    """Its parameters, metrics and probabilities are there once, under its parent."""
    parent = registry.runs.open("manual__1", 3, {})
    run_id = registry.runs.log_trial(parent, TRIAL, F1, np.array([0.1, 0.9]))
    assert registry.runs.log_trial(parent, TRIAL, F1, np.array([0.1, 0.9])) == run_id
    assert len(runs(client, registry)) == 2
    run = client.get_run(run_id)
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.params == {"smoothing": "0.1"}
    assert run.data.metrics["f1"] == 0.5
    assert run.data.metrics["fold_1_f1"] == 0.6
    assert len(client.get_metric_history(run_id, "f1")) == 1
    assert [file.path for file in client.list_artifacts(run_id)] == ["out_of_fold.npy"]
    assert run.info.status == "FINISHED"


def test_the_newest_figure_of_a_run_is_the_one_that_is_shown(
    registry: Registry, client: mlflow.MlflowClient
) -> None:
    """A finalist's F1 on all rows replaces its F1 on a part, lower or higher."""
    run_id = registry.runs.open("manual__1", 3, {})
    for value in (0.6, 0.4, 0.5):
        registry.runs.log(run_id, metrics={"f1": value})
        assert client.get_run(run_id).data.metrics["f1"] == value


def test_a_figure_said_again_is_one_point(registry: Registry, client: mlflow.MlflowClient) -> None:
    """A retried step draws no second point in MLflow's charts."""
    run_id = registry.runs.open("manual__1", 3, {})
    for _ in range(2):
        registry.runs.log(run_id, metrics={"f1": 0.6}, params={"depth": 2}, tags={"colour": "red"})
    assert len(client.get_metric_history(run_id, "f1")) == 1


def test_a_model_registered_again_is_the_same_version(
    registry: Registry, client: mlflow.MlflowClient
) -> None:
    """One Dag run, one version, however often the step is repeated; another run, another."""
    first = register(registry, "manual__1")
    assert register(registry, "manual__1") == first
    assert (first.name, first.version, first.data_version) == (registry.model, "1", 3)
    assert register(registry, "manual__2", data_version=4).version == "2"
    assert len(client.search_model_versions(f"name='{registry.model}'")) == 2
    assert client.get_model_version(registry.model, "1").tags["shelf"] == "top"


def test_a_registered_model_comes_back_verified(registry: Registry) -> None:
    """The bundle answers as the model did that was fitted, under the recorded digest."""
    bundle = registry.versions.bundle(register(registry, "manual__1"))
    assert bundle.manifest.features == ("height", "width")
    assert np.array_equal(bundle.scores(X), MODEL.predict_proba(X)[:, 1])


def test_mlflow_itself_knows_the_model(registry: Registry, client: mlflow.MlflowClient) -> None:
    """A version carries a signature, an input example and a `model.joblib`."""
    version = register(registry, "manual__1")
    uri = client.get_model_version_download_uri(version.name, version.version)
    info = mlflow.models.get_model_info(uri)
    assert [column.name for column in info.signature.inputs] == ["height", "width"]
    assert info.saved_input_example_info is not None
    names = {file.path.rpartition("/")[2] for file in mlflow.artifacts.list_artifacts(uri)}
    assert {"model.joblib", "bundle.json", "MLmodel"} <= names
    assert "model.pkl" not in names  # one model file, which is pinned, for whoever opens it


def test_a_model_with_categories_and_gaps_is_a_model_like_any_other(
    registry: Registry, client: mlflow.MlflowClient
) -> None:
    """Bundle and MLflow answer alike: MLflow is asked with the matrix, places and NaN included."""
    layout = Layout(("height", "wood"), {"wood": ("ash", "oak")}, ("height", "wood"))
    rows: list[tuple[Value, ...]] = [(1.0, "oak"), (None, "ash"), (2.0, None), (3.0, "ash")]
    matrix = encode(layout, rows * 5)
    family = Family(name="bayes", pipeline=("sklearn.naive_bayes.GaussianNB",))
    pipeline = build(Candidate("bayes", {}), family, 0, layout)
    model = fit(pipeline, 0.5, matrix, np.array([1, 0, 1, 0] * 5, np.int8))
    manifest = Manifest(registry.model, "bayes", layout, 0.5, ("no", "yes"), 3, tuple(rows))
    run_id = registry.runs.open("manual__1", 3, {})
    version = registry.versions.register(run_id, model, manifest, ["scikit-learn"], {})
    bundle = registry.versions.bundle(version)
    assert bundle.manifest.example == tuple(rows)
    assert np.array_equal(bundle.scores(matrix), model.predict_proba(matrix)[:, 1])
    uri = client.get_model_version_download_uri(version.name, version.version)
    example = mlflow.models.Model.load(uri).load_input_example(uri)
    assert np.array_equal(example.to_numpy(float), matrix[:4], equal_nan=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X has feature names")  # it was fitted on a bare matrix
        with pytest.MonkeyPatch.context() as opened_by_a_person:
            opened_by_a_person.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
            answered = mlflow.pyfunc.load_model(uri).predict(example)
    assert np.array_equal(answered, model.predict(matrix[:4]))


def test_the_data_versions_of_all_models_are_known(registry: Registry) -> None:
    """Whatever a version was fitted on is named, promoted or not; nothing else is."""
    assert registry.versions.data_versions() == set()
    register(registry, "manual__1", data_version=3)
    register(registry, "manual__2", data_version=8)
    register(registry, "manual__3", data_version=8)
    registry.runs.open("manual__4", 9, {})
    assert registry.versions.data_versions() == {3, 8}


def test_an_altered_artifact_is_refused(
    registry: Registry, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    """Whoever can write artifacts cannot make the pipeline unpickle them."""
    version = register(registry, "manual__1")
    source = client.get_model_version(version.name, version.version).source
    forged = tmp_path / "model.joblib"
    forged.write_bytes(b"not what was registered")
    client.log_model_artifact(source.removeprefix("models:/"), str(forged))
    with pytest.raises(ModelRefusedError, match=r"version 1 is refused: .* changed after"):
        registry.versions.bundle(version)


def test_without_a_promotion_there_is_no_champion(registry: Registry) -> None:
    """Neither without a registered model nor with a version that nobody promoted."""
    assert registry.champion.current() is None
    register(registry, "manual__1")
    assert registry.champion.current() is None


def test_a_promotion_moves_the_alias_and_keeps_the_one_before(
    registry: Registry, client: mlflow.MlflowClient
) -> None:
    """Champion and previous champion are aliases; a repeat moves neither."""
    first, second = register(registry, "manual__1"), register(registry, "manual__2")
    promote(registry, first, None)
    assert registry.champion.current() == first
    for _ in range(2):
        promote(registry, second, first.version)
        assert registry.champion.current() == second
        previous = client.get_model_version_by_alias(registry.model, "previous_champion")
        assert str(previous.version) == first.version
    third = register(registry, "manual__3")
    assert registry.champion.opponent_of(third) == second
    assert registry.champion.opponent_of(second) == first  # judged again after its promotion


def test_a_challenger_judged_against_another_champion_is_not_promoted(registry: Registry) -> None:
    """The champion moved in between: the alias stays, and the message says what to do."""
    first, second, third = (register(registry, f"manual__{number}") for number in range(3))
    promote(registry, first, None)
    promote(registry, second, first.version)
    with pytest.raises(ChampionMovedError, match=r"judged against champion 1, .* now 2: clear"):
        promote(registry, third, first.version)
    with pytest.raises(ChampionMovedError, match="judged against champion None"):
        promote(registry, third, None)
    assert registry.champion.current() == second


def test_a_decision_stands_with_its_run_and_its_version(
    registry: Registry, client: mlflow.MlflowClient
) -> None:
    """Verdict, reason and every check can be read in MLflow, and the run is closed."""
    version = register(registry, "manual__1")
    registry.decisions.log(version.run_id, version, decision(version))
    run = client.get_run(version.run_id)
    assert run.data.tags["ratchet.verdict"] == "HOLD"
    assert run.data.tags["mlflow.note.content"] == "because"
    assert run.info.status == "FINISHED"
    assert client.get_model_version(version.name, "1").tags["ratchet.verdict"] == "HOLD"
    record = mlflow.artifacts.load_dict(f"runs:/{version.run_id}/decision.json")
    assert record["checks"][0]["sentence"] == "it beats it"
    assert record["scores"]["challenger"]["rows"] == 100


def test_the_newest_decision_says_which_data_were_decided_on(registry: Registry) -> None:
    """A run without a decision does not count, nor does one that only has a version."""
    assert registry.decisions.newest_data_version("manual__asks") is None
    first = register(registry, "manual__1", data_version=3)
    assert registry.decisions.newest_data_version("manual__asks") is None
    registry.decisions.log(first.run_id, first, decision(first))
    second = register(registry, "manual__2", data_version=5)
    assert registry.decisions.newest_data_version("manual__asks") == 3
    registry.decisions.log(second.run_id, second, decision(second, Verdict.REJECT))
    assert registry.decisions.newest_data_version("manual__asks") == 5
    assert registry.decisions.newest_data_version("manual__2") == 3


def test_a_scorecard_is_metrics_under_the_contenders_name(
    registry: Registry, client: mlflow.MlflowClient
) -> None:
    """Every figure of the card is there, for both contenders apart."""
    run_id = registry.runs.open("manual__1", 3, {})
    registry.runs.log_scorecard(run_id, "challenger", card("2"))
    registry.runs.log_scorecard(run_id, "champion", card("1"))
    metrics = client.get_run(run_id).data.metrics
    assert metrics["challenger_f1"] == metrics["champion_f1"] == card("1").figures["f1"]
    assert metrics["champion_true_positives"] == card("1").figures["true_positives"]


def test_pictures_and_the_page_of_a_run_are_read_back(registry: Registry) -> None:
    """Figures come back as PNG by their names; the page is text beside the decision."""
    run_id = registry.runs.open("manual__1", 3, {})
    registry.runs.log_figures(run_id, {"roc": Figure(), "calibration": Figure()})
    found = registry.runs.figures(run_id)
    assert set(found) == {"roc", "calibration"}
    assert all(png.startswith(b"\x89PNG") for png in found.values())
    registry.runs.log_page(run_id, "<!doctype html>")
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/decision.html") == "<!doctype html>"


def test_an_account_that_may_read_nothing_by_default_finds_no_model_and_its_own(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow refuses it a name that nobody has, as it does those of others."""

    def refused(*_: object) -> None:
        raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)

    monkeypatch.setattr(mlflow.MlflowClient, "get_registered_model", refused)
    assert registry.ownership.owner() is None
    register(registry, "one")
    assert registry.ownership.owner() == registry.model
