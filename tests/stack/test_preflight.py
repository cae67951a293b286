"""What stands in the way of a start is one sentence that says what to do."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from include.settings import Settings
from stack.environments import require_environments
from stack.errors import StackError
from stack.preflight import check, make_folders


def test_a_taken_port_names_its_holder_and_the_variable_that_moves_it(settings: Settings) -> None:
    """The sentence has the port, this very process and RATCHET_MLFLOW_PORT."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.mlflow_port))
        taken.listen()
        with pytest.raises(StackError) as caught:
            check(settings)
    sentence = str(caught.value)
    assert str(settings.mlflow_port) in sentence
    assert "(pid " in sentence
    assert "RATCHET_MLFLOW_PORT=" in sentence


def test_free_ports_on_loopback_pass(settings: Settings) -> None:
    """Nothing is said when nothing is wrong."""
    check(settings)


@pytest.mark.parametrize("name", ["registry", "endpoint"])
def test_servers_elsewhere_are_refused(settings: Settings, name: str) -> None:
    """The stack starts servers of its own, so tasks must not ask others."""
    elsewhere = {name: "http://elsewhere:1"}
    with pytest.raises(StackError, match="http://elsewhere:1"):
        check(replace(settings, **elsewhere))  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "example.org", "::"])  # noqa: S104 - refused
def test_an_address_that_others_reach_is_refused(settings: Settings, host: str) -> None:
    """A stack without passwords listens on loopback only."""
    with pytest.raises(StackError, match="loopback"):
        check(replace(settings, host=host))


def test_one_port_for_two_components_is_refused(settings: Settings) -> None:
    """Both variables are named, also when it is the port of the endpoint's gRPC."""
    for port in (settings.mlflow_port, settings.mlflow_port - 1):
        same = replace(settings, serving_port=port)
        with pytest.raises(StackError, match="RATCHET_MLFLOW_PORT and RATCHET_SERVING_PORT"):
            check(same)


def test_a_port_beyond_the_last_is_refused(settings: Settings) -> None:
    """A port number that no machine has is named, not a traceback."""
    with pytest.raises(StackError, match="RATCHET_AIRFLOW_PORT"):
        check(replace(settings, airflow_port=70_000))


def test_a_half_made_environment_is_told_from_a_whole_one(tmp_path: Path) -> None:
    """Only the environment without its stamp is named, with the command that mends it."""
    (tmp_path / ".venv" / "main").mkdir(parents=True)
    (tmp_path / ".venv" / "main" / ".ready").touch()
    with pytest.raises(StackError, match="make setup") as caught:
        require_environments(tmp_path)
    assert ".venv/serving" in str(caught.value)
    assert ".venv/main " not in str(caught.value)


def test_every_spec_has_a_landing_folder(settings: Settings, tmp_path: Path) -> None:
    """The folders are there before the first person looks for them."""
    specs = tmp_path / "specs"
    specs.mkdir()
    for name in ("wine", "pulsars"):
        (specs / f"{name}.toml").touch()
    folders = make_folders(replace(settings, specs=specs))
    assert folders == [Path(settings.landing_url(name)) for name in ("pulsars", "wine")]
    assert all(folder.is_dir() for folder in folders)


def test_a_folder_that_cannot_be_made_is_a_sentence(settings: Settings, tmp_path: Path) -> None:
    """A file in the way names the variables that move the folder."""
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="RATCHET_LANDING"):
        make_folders(replace(settings, landing=f"{tmp_path}/file/landing"))
