"""Chooses the fastest way to compute a model's probabilities that gives the model's own answers.

There are up to three ways: the model itself, plain arithmetic, and an ONNX graph. A way is used
only if it reproduces the model's own answers on golden rows of every kind that a caller may send:
every label, and every probability to 5e-7, half of the tolerance that callers are promised. Which
way is fastest depends on the number of rows, so each is timed when the model is loaded.

Where the chosen way fails on other rows, or gives no probability, the model itself is asked: that
costs time and changes no answer.
"""

import logging
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.bundle import Bundle, Layout, answers, encode, odd_rows, stand_in
from serving.bundle.learners import score_of, unwrapped
from serving.bundle.learners.scores import Score
from serving.bundle.probing import CLOSE
from serving.models.graph import Graphs, graph_score

LOG = logging.getLogger("serving")
_ITSELF = "itself"
_GOLDEN_ROWS = 2048
_FEW = 64
_SIZES = (1, 8, 32, 64, 256)
_TIMINGS = 5
_PATIENCE_SECONDS = 0.1
"""For a model that takes longer than this for a few rows, no other way is looked for."""
_FAR = 1e18
"""When a way differs on larger numbers only, those rows are left to the model itself."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class ScoringWay:
    """A way to score rows, and the number of rows up to which it is the fastest."""

    name: str
    rows: int
    score: Score


@dataclass(frozen=True)
class QuickBundle(Bundle):
    """A bundle that scores rows in the fastest way for their number."""

    ways: tuple[ScoringWay, ...] = ()
    """Ways in the order of their numbers of rows; the last one takes any number."""
    failures: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    """Kinds of errors that a faster way has raised, each of which was logged once."""

    def scores(self, X: Matrix) -> NDArray[np.float64]:
        """Return what the model says of a float32 matrix; the first axis is the rows."""
        at = bisect_left(self.ways, len(X), hi=len(self.ways) - 1, key=lambda way: way.rows)
        way = self.ways[at]
        try:
            return np.asarray(way.score(X), dtype=np.float64)
        except Exception as error:
            if way.name == _ITSELF:
                raise
            return self.slowly(X, error)

    def slowly(self, X: Matrix, cause: Exception) -> NDArray[np.float64]:
        """Return the model's own scores of rows on which the chosen way has failed."""
        scores = super().scores(X)
        kind = type(cause).__name__
        if kind not in self.failures and not np.isnan(self.problem.usable(scores)).any():
            self.failures.add(kind)
            said = "%s: the model itself had to be asked about rows a quicker way failed on: %s: %s"
            LOG.warning(said, self.manifest.name, kind, " ".join(str(cause).split())[:200])
        return scores


def with_quickest_ways(bundle: Bundle, folder: Path | None = None) -> QuickBundle:
    """Return the bundle with the fastest of its ways for each number of rows.

    Converted graphs are kept in `folder`, to be used when the bundle is opened again.
    """
    parts = {field.name: getattr(bundle, field.name) for field in fields(Bundle)}
    return QuickBundle(**parts, ways=tuple(_ways(bundle, Graphs(folder))))


def _ways(bundle: Bundle, graphs: Graphs) -> list[ScoringWay]:
    layout, examples = bundle.manifest.layout, bundle.manifest.example
    rows = golden_rows(layout, examples)
    # Not by one look: the machine may have been busy with something else.
    if min(_seconds(bundle.scores, rows[:_FEW]) for _ in range(2)) > _PATIENCE_SECONDS:
        return [ScoringWay(_ITSELF, len(rows), bundle.scores)]
    expected = _answers(bundle.scores, rows)
    if expected is None:
        return [ScoringWay(_ITSELF, len(rows), bundle.scores)]
    same: dict[str, Score] = {_ITSELF: bundle.scores}
    edge = _Edge(bundle)
    for name, score in _others(bundle, rows.shape[1], graphs).items():
        is_same = _is_same(bundle, _answers(score, rows), expected)
        proved = edge.proved(score) if is_same else None
        if proved is not None:
            same[name] = proved
        else:
            LOG.info(
                "%s: %s is not asked, for it answers %s rows otherwise than the model itself",
                bundle.manifest.name,
                name,
                "odd" if is_same else "usual",
            )
    return _quickest(same, rows)


class _Edge:
    """Unusual rows of a model, and its own answers to them."""

    def __init__(self, bundle: Bundle) -> None:
        layout, examples = bundle.manifest.layout, bundle.manifest.example
        self._itself = bundle.scores
        self._rows = encode(layout, odd_rows(layout, examples or (stand_in(layout),)))
        self._usable = bundle.problem.usable
        self._expected = answers(self._itself, self._rows, self._usable)

    def proved(self, score: Score) -> Score | None:
        """Return a score that agrees on every unusual row; None when there is none.

        That is `score` itself, or, where it differs on huge numbers only, `score` with such rows
        left to the model itself.
        """

        def nearby(X: Matrix) -> NDArray[Any]:
            return self._itself(X) if (np.abs(X) > _FAR).any() else score(X)

        return next((one for one in (score, nearby) if self._says_the_same(one)), None)

    def _says_the_same(self, score: Score) -> bool:
        given, expected = answers(score, self._rows, self._usable), self._expected
        close = np.abs(given.alone - expected.alone) <= CLOSE  # no NaN is
        return bool(
            np.all((close & given.steady)[expected.steady])
            and np.isnan(given.alone[np.isnan(expected.alone)]).all()
        )


def golden_rows(
    layout: Layout, examples: Sequence[Sequence[float | str | None]], count: int = _GOLDEN_ROWS
) -> Matrix:
    """Return rows around a model's examples, shape (count, features), float32; the same each time.

    Numbers are moved by a tenth of themselves up to all, categories are any that the model knows,
    and some of what may be missing is.
    """
    chance = np.random.default_rng(0)
    base = encode(layout, examples or (stand_in(layout),))
    rows = base[np.arange(count) % len(base)]
    moved = 0.1 * 10 ** chance.random((count, 1)) * chance.normal(size=rows.shape)
    rows = (rows * (1 + moved)).astype(np.float32)
    rows[: len(base)] = base[:count]
    for place, feature in enumerate(layout.features):
        if feature in layout.categories:
            known = max(1, len(layout.categories[feature]))
            rows[:, place] = chance.integers(known, size=count)
        if feature in layout.optional:
            rows[chance.random(count) < 0.1, place] = np.nan  # noqa: PLR2004
    return rows


def _others(bundle: Bundle, width: int, graphs: Graphs) -> dict[str, Score]:
    """Return the ways besides the model itself; one that cannot be built is left out."""
    model = unwrapped(bundle.model)
    builders: dict[str, Callable[[], Score | None]] = {
        "arithmetic": lambda: score_of(model),
        "onnx": lambda: graph_score(model, width, graphs),
    }
    found: dict[str, Score] = {}
    for name, build in builders.items():
        try:
            score = build()
        except Exception as error:  # noqa: BLE001 - estimators and converters raise anything
            LOG.info("%s: %s cannot be built: %s", bundle.manifest.name, name, error)
            continue
        if score is not None:
            found[name] = score
    return found


def _answers(score: Score, rows: Matrix) -> NDArray[np.float64] | None:
    """Return a score's answers to all rows at once, then to single rows; None when it fails."""
    try:
        with np.errstate(all="ignore"):
            whole = score(rows)
            single = [score(rows[at : at + 1])[0] for at in range(0, len(rows), _FEW)]
    except Exception:  # noqa: BLE001 - a way that does not work is not taken, whatever the reason
        return None
    return np.concatenate([whole, single]).astype(np.float64)


def _is_same(
    bundle: Bundle, given: NDArray[np.float64] | None, expected: NDArray[np.float64]
) -> bool:
    return (
        given is not None
        and np.allclose(given, expected, rtol=0, atol=CLOSE)
        and np.array_equal(bundle.calls(given), bundle.calls(expected))
    )


def _quickest(scores: dict[str, Score], rows: Matrix) -> list[ScoringWay]:
    ways: list[ScoringWay] = []
    for size in _SIZES:
        timed = {name: _seconds(score, rows[:size]) for name, score in scores.items()}
        best = min(timed, key=timed.__getitem__)
        if ways and ways[-1].name == best:
            ways.pop()
        ways.append(ScoringWay(best, size, scores[best]))
    return ways


def _seconds(score: Score, rows: Matrix) -> float:
    def once() -> float:
        started = time.perf_counter()
        score(rows)
        return time.perf_counter() - started

    first = once()
    return min([first, *(once() for _ in range(_TIMINGS))]) if first < _PATIENCE_SECONDS else first
