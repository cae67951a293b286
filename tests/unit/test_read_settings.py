from pathlib import Path

import psutil
import pytest

from include.settings import PROJECT, code_version, read_settings


def test_without_variables_everything_is_in_the_project_and_on_loopback() -> None:
    """The defaults are what `make up` runs on."""
    settings = read_settings({})
    assert settings.home == PROJECT / ".ratchet"
    assert settings.landing == str(settings.home / "landing")
    assert settings.lake_url == str(settings.home / "lake")
    assert settings.specs == PROJECT / "include" / "specs"
    assert settings.host == "127.0.0.1"
    assert settings.serving_url == "http://127.0.0.1:8090"
    assert settings.cores >= 1
    assert 1 <= settings.fit_memory <= psutil.virtual_memory().total // 2**21


def test_variables_move_ports_and_folders(tmp_path: Path) -> None:
    """A second stack stands beside the first by its variables alone."""
    settings = read_settings(
        {
            "RATCHET_HOME": str(tmp_path),
            "RATCHET_SPECS": "specs",
            "RATCHET_AIRFLOW_PORT": "1",
            "RATCHET_MLFLOW_PORT": "2",
            "RATCHET_SERVING_PORT": "3",
        }
    )
    assert settings.landing_url("pulsars") == str(tmp_path / "landing" / "pulsars")
    assert settings.lake_url == str(tmp_path / "lake")
    assert settings.scratch == tmp_path / "scratch"
    assert settings.specs == Path.cwd() / "specs"
    urls = (settings.airflow_url, settings.registry_url, settings.serving_url)
    assert [url.rpartition(":")[2] for url in urls] == ["1", "2", "3"]


def test_another_process_reads_the_same_settings(tmp_path: Path) -> None:
    """The variables handed to a child give the settings of its parent."""
    settings = read_settings({"RATCHET_HOME": str(tmp_path / "here"), "RATCHET_FIT_MEMORY": "7"})
    assert settings.fit_memory == 7
    assert read_settings(settings.environment()) == settings


@pytest.mark.parametrize("text", ["eighty", "-1", "80.5"])
def test_what_is_no_number_gets_a_sentence(text: str) -> None:
    """The message names the variable and its value."""
    with pytest.raises(ValueError, match=f"RATCHET_MLFLOW_PORT is '{text}'.* whole number"):
        read_settings({"RATCHET_MLFLOW_PORT": text})


def test_the_code_version_can_be_told() -> None:
    """An image without git knows its version from a variable, and so do the processes it starts."""
    told = read_settings({"RATCHET_CODE_VERSION": "v9"})
    assert code_version(told) == "v9"
    assert code_version(read_settings(told.environment())) == "v9"
    assert code_version(read_settings({})) not in {"", "v9"}


def test_landing_and_lake_may_be_in_a_bucket() -> None:
    """URLs stay as they are; the variables that every S3 program knows say how to reach them."""
    variables = {
        "RATCHET_LANDING": "s3://in/box/",
        "RATCHET_LAKE": "s3://lake",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:8333",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    settings = read_settings(variables)
    assert (settings.landing, settings.lake_url) == ("s3://in/box", "s3://lake")
    assert settings.landing_url("pulsars") == "s3://in/box/pulsars"
    assert settings.s3 == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:8333",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-west-1",
        "AWS_ALLOW_HTTP": "true",
        "aws_conditional_put": "etag",
    }
    assert read_settings(settings.environment()) == settings
    assert "secret" not in repr(settings)


def test_a_spec_may_state_its_own_landing_place() -> None:
    """A path, a file URL or an s3 URL."""
    settings = read_settings({})
    assert settings.landing_url("pulsars", "s3://b/in") == "s3://b/in"
    assert settings.landing_url("pulsars", "file:///a%20b") == "/a b"
    assert settings.landing_url("pulsars", "in") == str(Path.cwd() / "in")


def test_what_is_not_set_is_not_handed_on() -> None:
    """A machine's own role gives credentials only where no variable does."""
    names = read_settings({}).environment().keys()
    assert not [name for name in names if name.startswith("AWS_")]


def test_servers_elsewhere_have_an_address_of_their_own() -> None:
    """Where they are said to be elsewhere, that is where they are asked; ports count otherwise."""
    own = read_settings({"RATCHET_MLFLOW_PORT": "5001"})
    assert own.registry_url == "http://127.0.0.1:5001"
    variables = {"RATCHET_MLFLOW_URL": "http://m:5000/", "RATCHET_SERVING_URL": "https://s"}
    settings = read_settings(variables)
    assert (settings.registry_url, settings.serving_url) == ("http://m:5000", "https://s")
    assert read_settings(settings.environment()) == settings
