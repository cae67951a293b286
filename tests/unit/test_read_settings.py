from pathlib import Path

import pytest

from include.settings import PROJECT, code_version, read_settings


def test_without_variables_everything_is_in_the_project_and_on_loopback() -> None:
    """The defaults are what `make up` runs on."""
    settings = read_settings({})
    assert settings.home == PROJECT / ".ratchet"
    assert settings.landing == settings.home / "landing"
    assert settings.specs == PROJECT / "include" / "specs"
    assert settings.host == "127.0.0.1"
    assert settings.serving_url == "http://127.0.0.1:8090"
    assert settings.cores >= 1


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
    assert settings.landing == tmp_path / "landing"
    assert settings.lake == tmp_path / "lake"
    assert settings.specs == Path.cwd() / "specs"
    urls = (settings.airflow_url, settings.registry_url, settings.serving_url)
    assert [url.rpartition(":")[2] for url in urls] == ["1", "2", "3"]


def test_another_process_reads_the_same_settings(tmp_path: Path) -> None:
    """The variables handed to a child give the settings of its parent."""
    settings = read_settings({"RATCHET_HOME": str(tmp_path / "here"), "RATCHET_CORES": "7"})
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
