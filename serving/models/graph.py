"""Converts a fitted model to an ONNX graph, which is many times as fast on a single row.

A graph computes in float32 and may give other answers than the model; `quick` uses it only where it
gives the same.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

from serving.bundle import learners
from serving.bundle.learners.scores import Numbers, Score
from serving.values.units import MIB

_LARGEST_BYTES = 64 * MIB
"""Largest size of a graph: building a larger one takes longer than it can save."""
_KEPT = "graph-{}-2.onnx"
"""The 2 is for how graphs are made: those without it raise where a category is unknown."""
_QUIET = 4
"""What the runtime itself may print: nothing. An answer that fails is the asker's to tell."""


class Graphs:
    """The graphs of one model in the order in which they are asked for, kept in a folder.

    A conversion takes tenths of a second of Python's lock and leaves the heap in pieces: a version
    that is opened again, as after a restart, in another worker or when it is crowned once more,
    finds its graphs. One that does not belong to the model is found out by its answers.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is an existing folder to keep graphs in; None keeps none."""
        self._folder = folder
        self._asked = 0

    def next(self, make: Callable[[], bytes]) -> bytes:
        """Return the next graph, made now unless it was kept; empty where there can be none."""
        path = self._folder and self._folder / _KEPT.format(self._asked)
        self._asked += 1
        if path is not None and path.is_file():
            return path.read_bytes()
        try:
            graph = make()
            _session(graph)
        except Exception:  # noqa: BLE001 - converters and the runtime raise anything at what they lack
            graph = b""
        if path is not None:
            draft = path.with_suffix(f".{os.getpid()}")
            draft.write_bytes(graph)
            # A draft of its own process: workers share the folder, and none finds half a graph.
            draft.replace(path)
        return graph


def graph_score(model: Any, width: int, graphs: Graphs | None = None) -> Score | None:
    """Return how to score a float32 matrix of so many columns by a graph, None where there is none.

    Of a pipeline as many steps are in the graph as can be; those before them run as they are.
    """
    given = graphs or Graphs()

    def as_score(make: Callable[[], bytes]) -> Score | None:
        graph = given.next(make)
        return _session(graph) if graph else None

    return learners.graph_score(model, width, as_score)


def _session(graph: bytes) -> Score:
    if len(graph) > _LARGEST_BYTES:
        raise ValueError(f"a graph of {len(graph)} bytes saves nothing")
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    session = InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    probabilities = [session.get_outputs()[1].name]
    name = given.name

    def score(X: Numbers) -> Numbers:
        (answer,) = session.run(probabilities, {name: X})
        both: NDArray[np.float32] = answer
        return both[:, 1]

    return score
