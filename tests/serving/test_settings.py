"""What an operator can say, and what MLServer's users have already said."""

import json
from pathlib import Path
from typing import Any

import pytest

from serving.configuration.settings import Batching, Settings, read_settings


def test_nobody_is_served_from_outside_who_was_not_asked_in() -> None:
    """By default the server binds loopback, with gRPC on the next port."""
    settings = read_settings({})
    assert (settings.host, settings.port, settings.grpc_port) == ("127.0.0.1", 8090, 8091)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "serving.example"])  # noqa: S104 - refused
def test_an_address_that_others_reach_needs_keys(host: str) -> None:
    """Without a key the server refuses to start, in a sentence that says how to go on."""
    with pytest.raises(ValueError, match="SERVING_API_KEYS_FILE or SERVING_API_KEY"):
        read_settings({"SERVING_HOST": host})
    assert read_settings({"SERVING_HOST": host, "SERVING_API_KEY": "k"}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    """Whoever is on the machine may ask."""
    assert read_settings({"SERVING_HOST": host}).api_key is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SERVING_PORT", "http"),
        ("SERVING_PORT", "70000"),
        ("SERVING_PORT", "-1"),
        ("SERVING_GRPC_PORT", "8090"),
        ("SERVING_POLL_SECONDS", "nan"),
        ("SERVING_POLL_SECONDS", "0"),
        ("SERVING_DEADLINE_SECONDS", "inf"),
        ("SERVING_WORKERS", "two"),
        ("SERVING_MAX_ROWS", "0"),
        ("SERVING_MAX_BATCH_TIME", "-1"),
        ("SERVING_BODY_LIMIT_MIB", "0"),
        ("SERVING_CANARY_SHARE", "1.5"),
        ("SERVING_REQUEST_LOG_SAMPLE", "0"),
        ("SERVING_DRAIN_SECONDS", "4"),
        ("SERVING_CONNECTION_LIMIT", "0"),
        ("SERVING_CLIENT_CONNECTION_LIMIT", "many"),
        ("SERVING_TRUSTED_PROXIES", "proxy.example"),
        ("SERVING_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("SERVING_HEADER_LIMIT_KIB", "0"),
        ("SERVING_HEADER_SECONDS", "0"),
        ("SERVING_BODY_SECONDS", "inf"),
        ("SERVING_IDLE_SECONDS", "-1"),
        ("SERVING_LOG", "xml"),
        ("SERVING_DEBUG", "maybe"),
        ("SERVING_METRICS_ENDPOINT", "metrics"),
    ],
)
def test_a_setting_that_cannot_be_is_a_sentence(variable: str, value: str) -> None:
    """A setting that makes no sense is refused by name."""
    with pytest.raises(ValueError, match=variable):
        read_settings({variable: value})


def test_workers_need_a_port_that_is_known() -> None:
    """Any free port would be another one for each of them."""
    with pytest.raises(ValueError, match="SERVING_PORT is 0"):
        read_settings({"SERVING_PORT": "0", "SERVING_WORKERS": "2"})


def test_secrets_are_not_printed() -> None:
    """Settings may be logged without telling a key."""
    said = {"SERVING_API_KEY": "k3y", "SERVING_WEBHOOK_SECRET": "s3cret"}
    assert "k3y" not in repr(read_settings(said))
    assert "s3cret" not in repr(read_settings(said))


def test_an_account_at_the_registry_is_read_as_mlflow_reads_it() -> None:
    """MLflow's own variables; an account comes before a token; none of it is printed."""
    account = {"MLFLOW_TRACKING_USERNAME": "serving", "MLFLOW_TRACKING_PASSWORD": "p4ss"}
    token = {"MLFLOW_TRACKING_TOKEN": "t0k3n"}
    basic = read_settings(account | token)
    assert basic.registry_authorization == "Basic c2VydmluZzpwNHNz"
    assert read_settings(token).registry_authorization == "Bearer t0k3n"
    assert read_settings({}).registry_authorization is None
    assert "c2VydmluZ" not in repr(basic)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"MLFLOW_TRACKING_USERNAME": "s3cret"}, "MLFLOW_TRACKING_PASSWORD is not"),
        ({"MLFLOW_TRACKING_PASSWORD": "s3cret"}, "MLFLOW_TRACKING_USERNAME is not"),
        ({"MLFLOW_TRACKING_TOKEN": "s3cret\n"}, "MLFLOW_TRACKING_TOKEN holds a space"),
        ({"MLFLOW_TRACKING_TOKEN": "s3cret\u00e9"}, "MLFLOW_TRACKING_TOKEN holds a space"),
        ({"SERVING_REGISTRY_URL": "http://me:s3cret@mlflow"}, "set MLFLOW_TRACKING_USERNAME and"),
    ],
)
def test_an_account_that_cannot_be_is_a_sentence_without_it(
    said: dict[str, str], says: str
) -> None:
    """Half an account, a token that no header holds, a password in an address that is shown."""
    with pytest.raises(ValueError, match=says) as raised:
        read_settings(said)
    assert "s3cret" not in str(raised.value)


def test_the_files_of_mlserver_work_unchanged(tmp_path: Path) -> None:
    """Ports, workers, metrics and batching are taken as MLServer's own documents write them."""
    settings = _read(
        tmp_path,
        {"debug": "true", "http_port": 9000, "grpc_port": "9001", "parallel_workers": 2},
        {
            "name": "boxes",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "max_batch_size": 5,
            "max_batch_time": 0.5,
            "parameters": {"uri": "./model.joblib", "version": "v0.1.0"},
        },
    )
    assert (settings.port, settings.grpc_port, settings.workers) == (9000, 9001, 2)
    assert settings.debug
    assert settings.batching("boxes") == Batching(5, 0.5)
    assert settings.batching("others") == Batching(64, 0.0)


def test_mlserver_without_batching_stays_without(tmp_path: Path) -> None:
    """A model file that says nothing of batches means what it means there: one at a time."""
    assert _read(tmp_path, {}, {"name": "boxes"}).batching("boxes") == Batching(1, 0.0)


def test_the_environment_wins_over_every_file(tmp_path: Path) -> None:
    """A variable is said later than a file, for the server and for each model."""
    said = {"SERVING_PORT": "9100", "SERVING_MAX_BATCH_SIZE": "7"}
    files = ({"http_port": 9000}, {"name": "boxes", "max_batch_size": 5, "max_batch_time": 0.5})
    settings = _read(tmp_path, *files, said)
    assert settings.port == 9100
    assert settings.batching("boxes") == Batching(7, 0.5)


def test_what_means_nothing_here_is_one_sentence_each(tmp_path: Path) -> None:
    """Every field that is left aside is named with its file and the reason, and harms nothing."""
    notes = _read(
        tmp_path, {"kafka_enabled": True, "new": 1}, {"name": "boxes", "implementation": "x.Y"}
    ).notes
    assert [note.partition(" in ")[0] for note in notes] == [
        "kafka_enabled",
        "new",
        "implementation",
    ]
    assert "opens its own models" in notes[2]
    assert "model-settings.json" in notes[2]


def test_metrics_can_be_turned_off_as_with_mlserver(tmp_path: Path) -> None:
    """`null` turns the page off, a path moves it."""
    assert _read(tmp_path, {"metrics_endpoint": None}).metrics_endpoint is None
    assert _read(tmp_path, {"metrics_endpoint": "/stats"}).metrics_endpoint == "/stats"
    assert read_settings({}).metrics_endpoint == "/metrics"


def test_mlserver_address_is_held_to_the_same_rule(tmp_path: Path) -> None:
    """A file cannot open the server to others without a key either."""
    with pytest.raises(ValueError, match="no API key"):
        _read(tmp_path, {"host": "0.0.0.0"})  # noqa: S104 - refused


@pytest.mark.parametrize(
    ("server", "model", "says"),
    [
        ({"http_port": "x"}, {"name": "a"}, "http_port in .*settings.json is 'x'"),
        ({}, {}, "has no name"),
        ({}, {"name": "a", "max_batch_size": -1}, "max_batch_size in .*model-settings.json"),
        ({}, {"name": "a", "max_batch_time": "soon"}, "max_batch_time in .*model-settings.json"),
    ],
)
def test_a_file_that_cannot_be_is_a_sentence(
    tmp_path: Path, server: dict[str, Any], model: dict[str, Any], says: str
) -> None:
    """The field and its file are named."""
    with pytest.raises(ValueError, match=says):
        _read(tmp_path, server, model)


def test_two_files_of_one_model_are_refused(tmp_path: Path) -> None:
    """Nobody could say which of them counts."""
    _write(tmp_path / "a" / "model-settings.json", {"name": "boxes"})
    _write(tmp_path / "b" / "model-settings.json", {"name": "boxes"})
    with pytest.raises(ValueError, match="are both of the model boxes"):
        read_settings({}, tmp_path)


def test_a_file_that_is_no_json_is_a_sentence(tmp_path: Path) -> None:
    """The file is named; so is a folder that is not there."""
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ValueError, match=r"settings.json cannot be read"):
        read_settings({}, tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        read_settings({}, tmp_path / "nowhere")


def _read(
    folder: Path,
    server: dict[str, Any],
    model: dict[str, Any] | None = None,
    said: dict[str, str] | None = None,
) -> Settings:
    _write(folder / "settings.json", server)
    if model is not None:
        _write(folder / "models" / "boxes" / "model-settings.json", model)
    return read_settings(said or {}, folder)


def _write(path: Path, fields: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fields))
