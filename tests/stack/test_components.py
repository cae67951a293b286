"""What each process of the stack is given."""

import pytest

from include.settings import Settings
from stack.components import components


def test_the_server_gets_what_an_operator_says_of_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, limits and workers reach it; where it stands is the stack's to say."""
    monkeypatch.setenv("SERVING_WORKERS", "2")
    monkeypatch.setenv("SERVING_PORT", "1")
    (server,) = (one for one in components(settings) if one.name == "serving")
    assert server.environment["SERVING_WORKERS"] == "2"
    assert server.environment["SERVING_PORT"] == str(settings.serving_port)
    assert server.asked_once
