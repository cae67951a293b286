"""A quicker way to ask a model is taken only while it gives the model's own answers."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

from serving.bundle import (
    Bundle,
    BundleRefusedError,
    Layout,
    Manifest,
    Value,
    encode,
    load,
    save,
    with_own_answers,
)
from serving.bundle.learners.scikit_learn import graphs as conversions
from serving.bundle.learners.scores import Score
from serving.models import graph, quick
from serving.models.graph import Graphs
from serving.models.loading import load_and_warm
from serving.models.quick import QuickBundle, ScoringWay, golden_rows, with_quickest_ways
from serving.models.scoring import UnscorableError, score
from tests.logs import messages_of

RNG = np.random.default_rng(2)
X = RNG.normal(size=(600, 3)).astype(np.float32)
Y = (X @ [1, -1, 2] + RNG.normal(size=600) > 0).astype(np.int8)
LAYOUT = Layout(("height", "width", "depth"))
EXAMPLE = tuple(tuple(map(float, row)) for row in X[:5])
MANIFEST = Manifest("boxes", "any", LAYOUT, 0.5, ("0", "1"), 1, EXAMPLE)
STOPPED = XGBClassifier(n_estimators=80, early_stopping_rounds=3, learning_rate=0.5)
MODELS = {
    "stopped early": STOPPED.fit(X[:400], Y[:400], eval_set=[(X[400:], Y[400:])], verbose=False),
    "weighted vote": VotingClassifier(
        [("trees", XGBClassifier(n_estimators=9)), ("bayes", GaussianNB())],
        voting="soft",
        weights=[3, 1],
    ).fit(X, Y),
    "unscaled": make_pipeline(StandardScaler(with_mean=False), LogisticRegression()).fit(X, Y),
    "forest": RandomForestClassifier(10, random_state=0).fit(X, Y),
}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try every way however busy the machine is."""
    monkeypatch.setattr(quick, "_PATIENCE_SECONDS", 30.0)


def bundle(model: object) -> Bundle:
    """Return a bundle of a fitted model."""
    return Bundle(MANIFEST, model)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_the_quickest_way_says_what_the_model_says(model: object) -> None:
    """To 1e-6, for any number of rows, and some other way than the model's own is found."""
    whole = bundle(model)
    fast = with_quickest_ways(whole)
    assert {way.name for way in fast.ways} != {"itself"}
    for count in (1, 2, 40, 600):
        np.testing.assert_allclose(
            fast.scores(X[:count]), whole.scores(X[:count]), rtol=0, atol=1e-6
        )


def test_a_way_that_says_otherwise_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that is a little off, or breaks, loses to arithmetic although it is quickest."""
    model = MODELS["unscaled"]
    told = bundle(model).scores

    def off(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.zeros(len(rows)) if len(rows) > 1 else told(rows)

    def broken(_rows: NDArray[np.float32]) -> NDArray[np.float64]:
        raise RuntimeError("no kernel")

    for wrong in (off, broken):

        def graph(_model: object, _width: int, _graphs: Graphs, way: Score = wrong) -> Score:
            return way

        monkeypatch.setattr(quick, "graph_score", graph)
        assert "onnx" not in {way.name for way in with_quickest_ways(bundle(model)).ways}


def test_golden_rows_are_rows_of_the_layout() -> None:
    """Known categories in their columns, gaps only where they may be, the examples first."""
    layout = Layout(("size", "wood"), {"wood": ("ash", "oak")}, ("size",))
    rows = golden_rows(layout, [(2.0, "oak"), (None, "ash")])
    assert rows.shape[1] == 2
    assert rows.dtype == np.float32
    assert set(rows[:, 1]) == {0.0, 1.0}
    assert 0 < np.isnan(rows[:, 0]).sum() < len(rows)
    assert np.array_equal(rows, golden_rows(layout, [(2.0, "oak"), (None, "ash")]), equal_nan=True)


def test_a_model_that_answers_otherwise_than_where_it_was_fitted_is_refused(
    tmp_path: Path,
) -> None:
    """The answers travel in the manifest, under its digest."""
    model = MODELS["forest"]
    told = with_own_answers(MANIFEST, model)
    digest = save(tmp_path, model, told)
    assert load_and_warm(tmp_path, digest, "boxes").scores(X[:5]).tolist() == pytest.approx(
        told.answers, abs=1e-6
    )
    wrong = json.loads((tmp_path / "bundle.json").read_text())["answers"]
    assert len(wrong) == len(EXAMPLE)
    other = save(tmp_path, MODELS["stopped early"], told)
    assert load(tmp_path, other).manifest.answers == told.answers
    with pytest.raises(BundleRefusedError, match="when it was saved, with"):
        load_and_warm(tmp_path, other, "boxes")


def test_a_graph_is_made_once_for_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened again it is found; one that was altered is not taken, and the model answers on."""
    digest = save(tmp_path, MODELS["forest"], MANIFEST)
    first = load_and_warm(tmp_path, digest, "boxes")
    monkeypatch.setattr(conversions, "convert_sklearn", None)
    again = load_and_warm(tmp_path, digest, "boxes")
    assert "onnx" in {way.name for way in again.ways} & {way.name for way in first.ways}
    (kept,) = tmp_path.glob("graph-*.onnx")
    other = tmp_path / "other"
    other.mkdir()
    whole = bundle(MODELS["stopped early"])
    with_quickest_ways(whole, other)
    kept.write_bytes((other / kept.name).read_bytes())
    altered = load_and_warm(tmp_path, digest, "boxes")
    assert "onnx" not in {way.name for way in altered.ways}
    np.testing.assert_allclose(altered.scores(X), first.scores(X), rtol=0, atol=1e-6)


WOODS = Layout(("height", "wood", "shape"), {"wood": ("ash", "oak"), "shape": tuple("abcdefgh")})
WOODEN_EXAMPLE = tuple((float(row[0]), "oak", "abcdefgh"[at]) for at, row in enumerate(X[:5]))


def wooden(**options: Any) -> Bundle:
    """Return a model of a number and two categories, none of them ever missing."""
    chance = np.random.default_rng(5)
    places = [chance.integers(len(known), size=len(X)) for known in WOODS.categories.values()]
    rows = np.column_stack([X[:, 0], *places]).astype(np.float32)
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist", sparse_output=False, dtype=np.float32, **options
    )
    parts = ColumnTransformer([("categories", encoder, [1, 2])], remainder="passthrough")
    model = make_pipeline(parts, StandardScaler(), LogisticRegression()).fit(rows, Y)
    return Bundle(replace(MANIFEST, layout=WOODS, example=WOODEN_EXAMPLE), model)


@pytest.mark.parametrize("options", [{}, {"max_categories": 4}], ids=["plain", "with rare ones"])
def test_an_unknown_category_is_answered_in_the_graph_too(options: dict[str, Any]) -> None:
    """As scikit-learn answers it: in no column, or as one of the rare ones where there are any."""
    whole = wooden(**options)
    asked = graph.graph_score(whole.model, 3)
    assert asked is not None
    unknown: list[list[Value]] = [[1.0, "teak", "a"], [1.0, "ash", "?"], [1.0, "", ""]]
    rows = encode(WOODS, unknown)
    np.testing.assert_allclose(asked(rows), whole.scores(rows), rtol=0, atol=5e-7)
    assert "itself" not in {way.name for way in with_quickest_ways(whole).ways}


def test_what_an_older_server_kept_is_not_taken_for_a_graph(tmp_path: Path) -> None:
    """Its graphs raise where a category is unknown; they are made again beside it."""
    (tmp_path / "graph-0.onnx").write_bytes(b"")
    with_quickest_ways(wooden(), tmp_path)
    assert any(path.stat().st_size for path in tmp_path.glob("graph-*.onnx"))


class Refusing:
    """A model that raises at huge numbers, as validation does behind a scaler."""

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """Answer."""
        if (np.abs(X) > 1e30).any():
            raise ValueError("too large")
        return np.column_stack([1 - expit(X[:, 0]), expit(X[:, 0])])


def test_huge_numbers_are_left_to_the_model_where_a_way_errs_on_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A way that answers what the model refuses is taken for all other numbers."""
    monkeypatch.setattr(quick, "graph_score", lambda *_: lambda X: expit(X[:, 0]))
    fast = with_quickest_ways(bundle(Refusing()))
    huge = np.full((1, 3), 1e31, np.float32)
    assert any(way.score(X[:1])[0] == expit(X[:1, 0]) for way in fast.ways)
    with pytest.raises(UnscorableError, match="too large"):
        score(fast, huge)


def test_a_model_whose_ways_cannot_be_built_is_asked_as_it_is() -> None:
    """Steps that hand on sparse rows fit into no graph and no arithmetic."""
    model = make_pipeline(StandardScaler(), KBinsDiscretizer(3), LogisticRegression()).fit(X, Y)
    whole = bundle(model)
    fast = with_quickest_ways(whole)
    np.testing.assert_allclose(fast.scores(X), whole.scores(X), rtol=0, atol=1e-6)


def test_what_a_way_fails_on_later_the_model_answers(caplog: pytest.LogCaptureFixture) -> None:
    """Rows that golden rows did not foresee: it raises or finds no number, each told once."""

    def failing(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        if (rows < 0).any():
            raise RuntimeError("no\nkernel")
        return np.full(len(rows), np.nan)

    fast = QuickBundle(MANIFEST, MODELS["forest"], ways=(ScoringWay("onnx", 1, failing),))
    with caplog.at_level(logging.WARNING):
        for rows in (X[:40], np.abs(X[:40]), X[:1]):
            assert score(fast, rows).tolist() == bundle(MODELS["forest"]).scores(rows).tolist()
    told = messages_of(caplog, "serving")
    assert [said.partition("failed on: ")[2] for said in told] == [
        "RuntimeError: no kernel",
        "ArithmeticError: it found no probability",
    ]


def test_a_sum_that_rounds_to_more_than_one_is_one() -> None:
    """In 32 bits ten tenths may be a hair too many; more than that is no probability."""

    class Over:
        def predict_proba(self, X: NDArray[np.float32]) -> NDArray[Any]:
            return np.column_stack([1 - X[:, 0], X[:, 0]])

    rows = np.array([[np.float32(1.0000001)], [0.5]], np.float32)
    assert score(bundle(Over()), rows).tolist() == [1.0, 0.5]
    with pytest.raises(UnscorableError, match=r"row 1 has the probability 1\.001"):
        score(bundle(Over()), np.array([[0.5], [1.001]], np.float32))
