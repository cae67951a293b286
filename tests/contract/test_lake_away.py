"""The lake rides out a bucket that is away for a while."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.adapters.lake import Lake
from include.records.row_columns import Side
from serving.bundle import Layout
from tests.seaweed import Seaweed, seaweed

AWAY_SECONDS = 2.0
LAYOUT = Layout(("a",))


def rows(first: int) -> pl.DataFrame:
    """Return ten rows with keys of their own."""
    number = pl.int_range(first, first + 10, eager=True)
    return pl.DataFrame(
        {
            "a": number / 3,
            "key_high": number,
            "key_low": number,
            "label": pl.Series([0, 1] * 5, dtype=pl.Int8),
            "side": ["train", "train", "train", "train", "holdout"] * 2,
        }
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a server of these tests alone, because they take it away."""
    with seaweed(tmp_path_factory.mktemp("away")) as server:
        yield server


OPERATIONS: dict[str, Callable[[Lake], Any]] = {
    "commit": lambda lake: lake.commit("d1", [rows(10)], 0),
    "committed": lambda lake: lake.committing_version("d0"),
    "dataset": lambda lake: lake.dataset(),
    "matches": lambda lake: lake.keys.matches(rows(5), 0).height,
    "matrix": lambda lake: len(lake.matrix(0, Side.TRAIN, LAYOUT)[0]),
    "stage": lambda lake: lake.stage("d1", "part-00000", rows(0)),
    "staged": lambda lake: lake.read_staged("d0", "part-00000").height,
}
ANSWERS = {"commit": 1, "committed": 0, "matches": 5, "matrix": 8, "stage": None, "staged": 10}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_waits_for_the_server(operation: str, server: Seaweed, tmp_path: Path) -> None:
    """A server that was killed and comes back costs the time that it was away."""
    place = server.fresh()
    lake = Lake(place.url, place.options, tmp_path)
    lake.commit("d0", [rows(0)], None)
    lake.stage("d0", "part-00000", rows(0))
    server.stop()
    back = threading.Timer(AWAY_SECONDS, server.start)
    back.start()
    try:
        answer = OPERATIONS[operation](lake)
    finally:
        back.join()
    assert answer == ANSWERS.get(operation, answer)
