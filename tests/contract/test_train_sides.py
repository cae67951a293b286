"""Train sides on a disk: laid out once, whole or not at all, shared by all who open them."""

import multiprocessing
import time
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np
import pytest

from include.adapters.train_matrix import OrderedRows, TrainMatrices
from serving.bundle import Layout

LAYOUT = Layout(("height", "wood"), {"wood": ("ash", "oak")}, ("height",))
X = np.array([[1.0, 0.0], [np.nan, 1.0], [3.0, np.nan]], np.float32)
Y = np.array([0, 1, 0], np.int8)


def arranged(number: float = 0.0) -> OrderedRows:
    """Return three rows in the order 2, 0, 1, 2; the first feature raised by a number."""
    raised = X + np.array([number, 0], np.float32)
    return OrderedRows(LAYOUT, raised, Y, np.array([2, 0, 1, 2]), (0, 2, 3))


def never() -> OrderedRows:
    """Fail, where nothing should be laid out."""
    raise AssertionError("the side is there already")


def open_slowly(folder: Path) -> float:
    """Open a side whose making takes a while, and say when it was made."""

    def make() -> OrderedRows:
        time.sleep(0.3)
        return arranged(time.monotonic())

    return float(TrainMatrices(folder).open("one", make).X[1, 0])


def test_a_side_is_laid_out_once(tmp_path: Path) -> None:
    """Rows in the order asked for, with the layout; a second opening makes nothing."""
    sides = TrainMatrices(tmp_path / "sides")
    for make in (arranged, never):
        side = sides.open("version 3", make)
        assert np.array_equal(side.X, X[[2, 0, 1, 2]], equal_nan=True)
        assert side.y.tolist() == [0, 0, 1, 0]
        assert (side.layout, side.bounds) == (LAYOUT, (0, 2, 3))
        assert not side.X.flags.writeable
        assert side.X.dtype == np.float32


def test_an_older_side_goes_when_another_comes(tmp_path: Path) -> None:
    """The disk holds one side a spec; who has the older one open keeps it."""
    sides = TrainMatrices(tmp_path)
    old = sides.open("version 3", arranged)
    sides.open("version 4", lambda: arranged(5.0))
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1
    assert np.array_equal(old.X, X[[2, 0, 1, 2]], equal_nan=True)


def test_a_side_that_died_in_the_making_is_made_again(tmp_path: Path) -> None:
    """Nothing half-written is ever opened, and nothing of it stays."""
    sides = TrainMatrices(tmp_path)

    def dies() -> OrderedRows:
        return OrderedRows(LAYOUT, X, Y, np.array([0, 7]), (0, 1, 2))

    with pytest.raises(IndexError):
        sides.open("version 3", dies)
    assert sides.open("version 3", arranged).y.tolist() == [0, 0, 1, 0]
    assert not list(tmp_path.glob("*.part"))


def test_processes_that_come_at_once_lay_out_once(tmp_path: Path) -> None:
    """One makes the file, the others wait for it and see the same."""
    with Pool(3, context=multiprocessing.get_context("spawn")) as pool:
        made = pool.map(open_slowly, [tmp_path] * 3)
    assert len(set(made)) == 1
