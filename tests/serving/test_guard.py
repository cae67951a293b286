"""All that guards a server, made from what an operator said."""

import asyncio
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.configuration.settings import read_settings
from serving.models.holder import LoadedVersion
from serving.observing.request_log import AskedRows
from serving.refusals import RequestRefusedError
from serving.traffic.guard import Guard, make_guard
from tests.serving.conftest import Open
from tests.serving.test_metrics import at, read


def guard(**said: str) -> Guard:
    """Return what guards a server with these variables."""

    def predict(held: LoadedVersion, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        return held.bundle.scores(matrix)

    return make_guard(read_settings(said), predict)


def test_by_default_nothing_is_asked_and_nothing_kept(tmp_path: Path) -> None:
    """A server on loopback needs no key, keeps no request and has no other workers."""
    made = guard(SERVING_HOME=str(tmp_path))
    made.keys.require([])
    made.close()
    assert made.request_log is None
    assert made.board is None
    assert list(tmp_path.iterdir()) == []


def test_what_was_noted_is_written_at_the_end(tmp_path: Path, open_bundle: Open) -> None:
    """The key is asked for, the log is where it was said, and closing leaves nothing behind."""
    made = guard(SERVING_API_KEY="walnut", SERVING_REQUEST_LOG=str(tmp_path / "log"))
    with pytest.raises(RequestRefusedError):
        made.keys.require([])
    assert made.request_log is not None
    held = LoadedVersion("boxes", "3", open_bundle())
    made.request_log.note(held, "abc", AskedRows(np.zeros((1, 3), np.float32)), np.zeros(1))
    made.close()
    assert len(list((tmp_path / "log").rglob("*.parquet"))) == 1


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            {"SERVING_API_KEYS_FILE": "/nowhere/keys"},
            "/nowhere/keys is not there or holds no",
        ),
        ({"SERVING_REQUEST_LOG": "ftp://host/x"}, "SERVING_REQUEST_LOG is 'ftp://host/x'"),
    ],
)
def test_what_cannot_be_is_a_sentence(said: dict[str, str], sentence: str) -> None:
    """Before anything is served."""
    with pytest.raises(ValueError, match=sentence):
        guard(**said)


@pytest.mark.asyncio
async def test_workers_tell_each_other_their_numbers(tmp_path: Path, open_bundle: Open) -> None:
    """Any worker's page has what the others published by themselves."""
    pair = [guard(SERVING_HOME=str(tmp_path), SERVING_WORKER=number) for number in "01"]
    pair[0].metrics.answered(LoadedVersion("boxes", "3", open_bundle()), 0.1, 3)
    publishing = asyncio.ensure_future(pair[0].publish())
    await asyncio.sleep(0)
    publishing.cancel()
    with suppress(asyncio.CancelledError):
        await publishing
    key = at("ratchet_rows_total", model="boxes", version="3", worker="0")
    assert read(pair[1].metrics)[key] == 3
    for one in pair:
        one.close()


def test_alone_there_is_nothing_to_publish(tmp_path: Path) -> None:
    """It ends at once and writes nothing."""
    asyncio.run(guard(SERVING_HOME=str(tmp_path)).publish())
    assert list(tmp_path.iterdir()) == []
