"""Writes the train matrix of a data version to the local disk, once for all tasks that fit on it.

The matrix is one memory-mapped file: all tasks on a machine share its pages, and none copies it. A
machine without the file, such as a second worker, creates it from the lake. A file is complete or
absent; one task writes it while others wait for a lock.
"""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from include.records.arrays import Labels, Matrix, RowNumbers
from serving.bundle import Layout, read_layout

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class OrderedRows:
    """A train side, float32 features X and labels y, and the order to store its rows in."""

    layout: Layout
    X: Matrix
    y: Labels
    order: RowNumbers
    """Row numbers of X; some occur more than once."""
    bounds: tuple[int, ...]
    """The position in `order` where each fold begins, then the total number of positions."""


@dataclass(frozen=True)
class StoredRows:
    """A train side on disk: read-only memory-mapped arrays, in the stored order."""

    layout: Layout
    X: Matrix
    y: Labels
    bounds: tuple[int, ...]


class TrainMatrices:
    """The train matrices of one spec in a local folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` is created with the first file."""
        self._folder = folder

    def open(self, name: str, make: Callable[[], OrderedRows]) -> StoredRows:
        """Return a train side; `make` is called and the file written when it is not on disk yet.

        `name` identifies everything that the matrix depends on. Files of other names are removed
        when a new one is written; processes that have them open keep their pages.
        """
        place = self._folder / hashlib.sha256(name.encode()).hexdigest()[:16]
        if not place.is_dir():
            with self._alone():
                # Asked again under the lock: another task may have written it while this one
                # waited.
                if not place.is_dir():
                    self._forget()
                    _lay_out(make(), place)
        return _read(place)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _forget(self) -> None:
        for place in self._folder.iterdir():
            # Whoever has one open keeps its pages: the system frees them with the last reader.
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)


def _lay_out(side: OrderedRows, place: Path) -> None:
    draft = place.with_suffix(".part")
    draft.mkdir()
    np.save(draft / "y.npy", side.y[side.order])
    told = {"layout": asdict(side.layout), "bounds": side.bounds}
    (draft / "side.json").write_text(json.dumps(told))
    shape = (len(side.order), side.X.shape[1])
    with (draft / "X.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for at in range(0, len(side.order), _ROWS_AT_ONCE):
            file.write(side.X[side.order[at : at + _ROWS_AT_ONCE]].tobytes())
    # A folder is renamed whole: there is all of it, or none.
    draft.rename(place)


def _read(place: Path) -> StoredRows:
    told = json.loads((place / "side.json").read_text())
    return StoredRows(
        read_layout(told["layout"]),
        # A plain array over the mapped file: scikit-learn copies what a memmap's own class asks.
        np.asarray(np.load(place / "X.npy", mmap_mode="r")),
        np.load(place / "y.npy"),
        tuple(told["bounds"]),
    )
