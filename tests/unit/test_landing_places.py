"""Where files of a spec may land, beside other specs and what Ratchet keeps."""

from pathlib import Path

import pytest

from include.context.intake_context import intake_context
from include.context.landing_places import misplaced_specs
from include.errors import SpecError
from include.settings import Settings, read_settings
from include.spec.model_spec import Spec


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of a home of its own."""
    return read_settings({"RATCHET_HOME": str(tmp_path)})


def named(spec: Spec, name: str, landing: str = "") -> Spec:
    """Return the spec under another name, with its files landing there."""
    return spec.model_copy(update={"name": name, "model": name, "landing": landing})


WRONG = {
    "notes of another": "{home}/landing/bank/refused",
    "below them": "{home}/landing/bank/refused/deeper",
    "claimed files of another": "{home}/landing/bank/.claimed",
    "another way to write it": "{home}/lake/../landing/bank/./refused/",
    "as a URL": "file://{home}/landing/bank/refused",
    "archive of another": "{home}/lake/bank/archive",
    "its own archive": "{home}/lake/new/archive",
    "its own quarantine": "{home}/lake/new/quarantine",
    "its own table": "{home}/lake/new",
    "logs": "{home}/logs",
    "files of MLflow": "{home}/mlflow/artifacts",
}


@pytest.mark.parametrize("place", WRONG)
def test_no_spec_lands_where_ratchet_keeps_something(
    spec: Spec, settings: Settings, place: str
) -> None:
    """Its runs would take notes, claims, archived files or logs for deliveries."""
    landing = WRONG[place].format(home=settings.home)
    refused = misplaced_specs((named(spec, "bank"), named(spec, "new", landing)), settings)
    assert list(refused) == ["new"]
    assert str(refused["new"]).startswith("new.toml: landing: ")
    assert str(refused["new"]).endswith(": name another place")


def test_no_spec_lands_among_specs(spec: Spec, settings: Settings) -> None:
    """A run would carry the specs themselves away."""
    assert list(misplaced_specs((named(spec, "new", str(settings.specs)),), settings)) == ["new"]


RIGHT = {
    "": "the usual place",
    "{home}/landing/other": "beside others",
    "{home}/landing/bank/refused2": "a name that begins alike",
    "{home}/landing": "above others, whose folders are left alone",
    "{home}/lake/elsewhere": "a folder of no spec",
    "s3://landing/new": "a bucket",
}


@pytest.mark.parametrize("place", RIGHT)
def test_any_other_place_is_as_good(spec: Spec, settings: Settings, place: str) -> None:
    """Nobody is refused for a place of his own."""
    landing = place.format(home=settings.home)
    assert not misplaced_specs((named(spec, "bank"), named(spec, "new", landing)), settings)


def test_who_states_a_place_gives_way_to_who_has_the_usual(spec: Spec, settings: Settings) -> None:
    """A spec called as the folder of notes is not to blame for one that lands above it."""
    both = (named(spec, "refused"), named(spec, "bank", f"{settings.home}/landing"))
    assert list(misplaced_specs(both, settings)) == ["bank"]


def test_a_bucket_is_held_to_the_same(spec: Spec, tmp_path: Path) -> None:
    """Objects below the archive are files of the archive."""
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_LAKE": "s3://data/lake"})
    place = "s3://data/lake/bank/archive/"
    assert list(misplaced_specs((named(spec, "bank"), named(spec, "new", place)), settings)) == [
        "new"
    ]


def test_nothing_is_taken_in_from_its_own_lake(spec: Spec, settings: Settings) -> None:
    """Whoever runs a step or a command for it is told, without the other specs."""
    with pytest.raises(SpecError, match="table and archive of new"):
        intake_context(named(spec, "new", f"{settings.lake_url}/new/quarantine"), settings)
