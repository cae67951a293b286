"""Whose a model is, as the Dag folder knows it: from what tasks wrote down, not from file names."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import owners
import pytest
from airflow.dag_processing.dagbag import DagBag

from include.errors import NotOwnerError
from include.settings import read_settings
from include.spec.spec_files import read_specs

Parse = Callable[[Path], DagBag]


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the variables of an Airflow."""
    kept: dict[str, str] = {}

    class Variable:
        @staticmethod
        def get(key: str, default: Any = None) -> Any:
            return kept.get(key, default)

        @staticmethod
        def set(key: str, value: str) -> None:
            kept[key] = value

    monkeypatch.setattr(owners, "Variable", Variable)
    return kept


@pytest.fixture
def copied(spec_file: Path) -> Path:
    """Return a copy of the spec that sorts earlier."""
    copy = spec_file.with_name("a.toml")
    copy.write_text(spec_file.read_text())
    return copy


def broken(bag: DagBag) -> set[str]:
    """Return the Dags that say that their spec cannot be used."""
    assert bag.import_errors == {}
    return {name for name, dag in bag.dags.items() if "broken spec" in dag.tags}


def test_a_copy_that_sorts_earlier_takes_nothing_over(
    parse: Parse, copied: Path, variables: dict[str, str]
) -> None:
    """The live Dag stays as it is; the copy says whose the model is and how to take it over."""
    before = parse(copied.parent).dags
    assert not any("broken spec" in dag.tags for dag in before.values())
    owners.remember("pulsar-model", "pulsars")
    assert json.loads(variables["ratchet_owners"]) == {"pulsar-model": "pulsars"}
    bag = parse(copied.parent)
    assert broken(bag) == {"a"}
    told = str(bag.dags["a"].doc_md)
    assert "a.toml: model: pulsar-model belongs to the spec pulsars." in told
    assert "./ratchet transfer pulsar-model --to a" in told
    assert set(bag.dags["pulsars"].task_dict) == set(before["pulsars"].task_dict)


def test_a_refused_copy_starts_by_no_file_and_asks_again_by_night(
    parse: Parse, copied: Path, variables: dict[str, str]
) -> None:
    """What waits in its landing place starts no run after run; handed over, a night is enough."""
    owners.remember("pulsar-model", "pulsars")
    refused: Any = parse(copied.parent).dags["a"]
    assert refused.timetable.can_be_scheduled
    assert refused.timetable.asset_condition is None
    owners.remember("pulsar-model", "a")
    bag = parse(copied.parent)
    assert broken(bag) == {"pulsars"}
    assert "--to pulsars" in str(bag.dags["pulsars"].doc_md)
    assert bag.dags["a"].timetable.asset_condition is not None
    assert len(json.loads(variables["ratchet_owners"])) == 1


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"other": "pulsars"}'])
def test_what_says_nothing_of_the_model_refuses_nobody(
    parse: Parse, copied: Path, variables: dict[str, str], text: str
) -> None:
    """Somebody may have edited the variable: the registry decides in the first task."""
    variables["ratchet_owners"] = text
    assert broken(parse(copied.parent)) == set()


def test_without_a_database_parsing_goes_on(
    parse: Parse, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither reading nor writing may stop a Dag or a run."""

    def away(*_: Any, **__: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(owners, "Variable", type("V", (), {"get": away, "set": away}))
    assert broken(parse(copied.parent)) == set()
    owners.remember("pulsar-model", "pulsars")


def test_a_renamed_spec_is_told_how_to_take_its_model_along(
    parse: Parse, spec_file: Path, variables: dict[str, str]
) -> None:
    """Although no other file names the model any more."""
    owners.remember("pulsar-model", "pulsars")
    spec_file.rename(spec_file.with_name("stars.toml"))
    bag = parse(spec_file.parent)
    assert broken(bag) == {"stars"}
    assert "./ratchet transfer pulsar-model --to stars" in str(bag.dags["stars"].doc_md)
    assert variables


LANDINGS: Mapping[str, tuple[dict[str, str], set[str]]] = {
    "nobody is known": ({}, set()),
    "the one that lives": ({"pulsar-model": "pulsars"}, {"a.toml"}),
    "both live": ({"pulsar-model": "pulsars", "other-model": "a"}, set()),
}


@pytest.mark.parametrize("case", LANDINGS)
def test_a_newcomer_takes_no_files_of_another(spec_file: Path, tmp_path: Path, case: str) -> None:
    """A copy with a model of its own, and the same stated landing place."""
    known, refused = LANDINGS[case]
    text = f'landing = "{tmp_path}/drop"\n{spec_file.read_text()}'
    spec_file.write_text(text)
    spec_file.with_name("a.toml").write_text(text.replace("pulsar-model", "other-model"))
    specs = read_specs(spec_file.parent)
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    found = owners.newcomers(specs, settings, known)
    assert {path.name for path in found} == refused
    assert all("is where files of pulsars land" in str(error) for error in found.values())


def test_the_sentence_is_that_of_the_registry(spec_file: Path, tmp_path: Path) -> None:
    """Whoever refuses, a person reads the same."""
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    found = owners.newcomers(read_specs(spec_file.parent), settings, {"pulsar-model": "elsewhere"})
    assert str(found[spec_file]) == str(NotOwnerError("pulsars", "pulsar-model", "elsewhere"))
