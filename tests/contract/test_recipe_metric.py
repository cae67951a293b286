"""The recipe "a metric" of CONTRIBUTING: one module and one entry, and a gate decides by it."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from demo.data import pulsar_rows
from include import metrics
from include.context.step_context import StepContext
from include.metrics import Figures
from include.metrics.by_counts import FractionOfCounts
from include.metrics.call_counts import Cells
from include.metrics.class_shares import positive_share
from include.problems.binary import Binary
from include.reports.decision_page import render
from include.spec.spec_files import parse_spec
from tests.contract.bank import SPEC
from tests.contract.pipeline import drop, run

pytestmark = pytest.mark.models_in_memory
ROWS = pulsar_rows(1600, seed=3)


class JaccardIndex(FractionOfCounts):
    """Hits among all rows that are positive or called so."""

    name, title = "jaccard", "Jaccard index"
    without_skill = "calling every row positive"

    def fraction(self, cells: Cells) -> tuple[Any, Any]:
        """Return hits / (hits + misses + false calls)."""
        return cells.hits, cells.hits + cells.misses + cells.false_calls

    def no_skill(self, figures: Figures) -> float:
        """Return the share of positives."""
        return positive_share(figures)


@pytest.fixture
def jaccard(monkeypatch: pytest.MonkeyPatch) -> Iterator[JaccardIndex]:
    """Add the metric to the registry."""
    module = ModuleType("include.metrics.jaccard")
    module.METRIC = metric = JaccardIndex()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, "jaccard"))
    monkeypatch.setattr(Binary, "metrics", (*Binary.metrics, "jaccard"))
    _forget()
    yield metric
    _forget()


def _forget() -> None:
    metrics.metrics.cache_clear()
    metrics.metric_named.cache_clear()


def test_a_metric_is_a_module_and_an_entry(context: StepContext, jaccard: JaccardIndex) -> None:
    """A spec names it, candidates are selected by it, a gate decides and a page tells by it."""
    text = f'{SPEC}[gate]\nmetric = "jaccard"\n'
    gate = parse_spec(Path("bank.toml"), text).gate
    context = replace(context, spec=context.spec.model_copy(update={"gate": gate}))
    for part in (ROWS[:800], ROWS[800:]):
        drop(context, part)
        done = run(context)
    scores, decision = done.scores, done.decision
    assert scores.metric == jaccard.name
    assert scores.champion is not None
    value = jaccard.written(scores.challenger.value(jaccard))
    checks = {check.name: check for check in decision.checks}
    assert checks["no_skill"].sentence.startswith(f"Jaccard index {value} beats the ")
    assert checks["better"].sentence.startswith(f"challenger Jaccard index {value} ")
    hits, misses, false_calls = (
        scores.challenger.figures[name]
        for name in ("true_positives", "false_negatives", "false_positives")
    )
    assert checks["better"].value == hits / (hits + misses + false_calls)
    assert "beyond_noise" in checks
    page = render("Bank", decision, context.registry.runs.figures(done.plan.run_id))
    assert "gain in Jaccard index" in page or "ways to swap" in page
    assert 'alt="jaccard_by_threshold"' in page
    recorded = context.registry.runs.metric
    assert recorded(done.plan.run_id, "challenger_jaccard") == checks["better"].value
    assert recorded(done.plan.run_id, "select_jaccard") is not None
