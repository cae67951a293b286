"""Two specs that name one model are told by `make status`, before anything is trained."""

from dataclasses import replace
from pathlib import Path

import pytest

from include.settings import Settings, read_settings
from stack.same_models import shared_models


@pytest.fixture
def specs(tmp_path: Path) -> Settings:
    """Return settings with two specs of one model, one of another, and one that is broken."""
    for name, model in {"a": "'m'", "b": "'m'", "c": "'x'", "d": "="}.items():
        (tmp_path / f"{name}.toml").write_text(f"model = {model}")
    return replace(read_settings({"RATCHET_HOME": str(tmp_path)}), specs=tmp_path)


def test_both_are_named(specs: Settings) -> None:
    """With the model, and what becomes of it when nobody does anything."""
    (said,) = shared_models(specs, ())
    assert said.startswith("a.toml and b.toml both name the model m: the first that registers")


def test_a_spec_that_is_refused_is_told_once(specs: Settings) -> None:
    """Its own sentence says whose the model is."""
    assert list(shared_models(specs, {"b"})) == []
