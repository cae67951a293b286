"""Checks of a challenger by itself; a failure is a REJECT."""

from include.metrics import Skill, metric_named, objective, skill_named
from include.problems import Problem, problem_named
from include.records.judging import Check, Preflight, Scorecard, Scores
from include.spec.model_spec import Gate
from include.stages.decide.proven import agreement_checks, leak_checks
from include.store.units import MIB

_NO_SKILL, _CALIBRATION = "no_skill", "calibration_error"


def by_rows(scores: Scores) -> set[str]:
    """Return the checks whose values are means over holdout rows: too few rows excuse a failure."""
    return {_NO_SKILL, _CALIBRATION, *problem_named(scores.problem).floors}


def fitness(scores: Scores, rule: Gate) -> tuple[Check, ...]:
    """Check the challenger alone: its leak proof, its skill, and the bounds of the spec."""
    card, problem = scores.challenger, problem_named(scores.problem)
    return (
        leak_checks(scores, "challenger", card.model_version),
        *agreement_checks(scores, "challenger", card.model_version),
        skill_of(scores),
        *(_floor(name, card, skill_named(name)) for name in problem.floors),
        *_calibrated(card, problem, rule),
        _quick(card, rule),
        _small(card, rule),
    )


def skill_of(scores: Scores) -> Check:
    """Check that the challenger is better than without skill, by the metric of the gate."""
    return _floor(_NO_SKILL, scores.challenger, objective(scores.metric))


def preflight_result(preflight: Preflight | None) -> tuple[Check, ...]:
    """Check that the endpoint answers with the challenger as the pipeline does, where it was asked.

    The value is the number of answers that differ, plus the replicas that refused the version.
    """
    if preflight is None or not preflight.needed:
        return ()
    count = float(preflight.differences)
    return (Check("preflight", preflight.passed, count, 0.0, preflight.sentence, ceiling=True),)


def _floor(name: str, card: Scorecard, metric: Skill) -> Check:
    """Check that a metric of the challenger is better than without skill."""
    value, bound = card.value(metric), metric.no_skill(card.numbers())
    passed = metric.merit(value) > metric.merit(bound)
    sentence = (
        f"{metric.title} {metric.written(value)} {'beats' if passed else 'does not beat'} the "
        f"{metric.written(bound)} of {metric.without_skill}"
    )
    return Check(name, passed, value, bound, sentence, ceiling=not metric.greater_is_better)


def _calibrated(card: Scorecard, problem: Problem, rule: Gate) -> tuple[Check, ...]:
    if not problem.calibration:
        return ()
    metric = metric_named(problem.calibration)
    error, bound = card.value(metric), rule.max_calibration_error
    return (_ceiling(_CALIBRATION, metric.title, error, bound),)


def _quick(card: Scorecard, rule: Gate) -> Check:
    what = "the latency of one row in milliseconds"
    return _ceiling("latency_ms", what, card.latency_ms, rule.max_latency_ms)


def _small(card: Scorecard, rule: Gate) -> Check:
    size = card.size_bytes / MIB
    return _ceiling("size_mib", "the size of the model file in MiB", size, rule.max_size_mib)


def _ceiling(name: str, what: str, value: float, bound: float) -> Check:
    passed = value <= bound
    verb = "is within" if passed else "is above"
    sentence = f"{what}, {value:.4g}, {verb} the {bound:g} that the spec allows"
    return Check(name, passed, value, bound, sentence, ceiling=True)
