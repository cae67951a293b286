"""Checks of a challenger by itself; a failure is a REJECT."""

from include.records.judging import Check, Preflight, Scorecard, Scores
from include.spec.model_spec import Gate
from include.stages.decide.proven import agreement_checks, leak_checks
from include.store.units import MIB

BY_ROWS = ("no_skill_f1", "average_precision", "calibration_error")
"""Checks whose values are means over holdout rows, so that too few rows excuse their failure."""


def fitness(scores: Scores, rule: Gate) -> tuple[Check, ...]:
    """Check the challenger alone: its leak proof, its skill, and the bounds of the spec."""
    card = scores.challenger
    return (
        leak_checks(scores, "challenger", card.model_version),
        *agreement_checks(scores, "challenger", card.model_version),
        _beats_no_skill(card),
        _ranks(card),
        _calibrated(card, rule),
        _quick(card, rule),
        _small(card, rule),
    )


def preflight_result(preflight: Preflight | None) -> tuple[Check, ...]:
    """Check that the endpoint answers with the challenger as the pipeline does, where it was asked.

    The value is the number of answers that differ, plus the replicas that refused the version.
    """
    if preflight is None or not preflight.needed:
        return ()
    count = float(preflight.differences)
    return (Check("preflight", preflight.passed, count, 0.0, preflight.sentence, ceiling=True),)


def _beats_no_skill(card: Scorecard) -> Check:
    return _floor("no_skill_f1", "F1", card.f1, card.no_skill_f1, "calling every row positive")


def _ranks(card: Scorecard) -> Check:
    precision, chance = card.average_precision, card.positive_share
    what = "average precision"
    return _floor("average_precision", what, precision, chance, "ranking rows by chance")


def _calibrated(card: Scorecard, rule: Gate) -> Check:
    error, bound = card.expected_calibration_error, rule.max_calibration_error
    return _ceiling("calibration_error", "expected calibration error", error, bound)


def _quick(card: Scorecard, rule: Gate) -> Check:
    what = "the latency of one row in milliseconds"
    return _ceiling("latency_ms", what, card.latency_ms, rule.max_latency_ms)


def _small(card: Scorecard, rule: Gate) -> Check:
    size = card.size_bytes / MIB
    return _ceiling("size_mib", "the size of the model file in MiB", size, rule.max_size_mib)


def _floor(name: str, what: str, value: float, bound: float, rival: str) -> Check:
    passed = value > bound
    verb = "beats" if passed else "does not beat"
    sentence = f"{what} {value:.4f} {verb} the {bound:.4f} of {rival}"
    return Check(name, passed, value, bound, sentence)


def _ceiling(name: str, what: str, value: float, bound: float) -> Check:
    passed = value <= bound
    verb = "is within" if passed else "is above"
    sentence = f"{what}, {value:.4g}, {verb} the {bound:g} that the spec allows"
    return Check(name, passed, value, bound, sentence, ceiling=True)
