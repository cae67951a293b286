"""What a challenger has to be by itself: the checks whose failure is a REJECT."""

from include.records import Check, Preflight, Proof, Scorecard, Scores
from include.spec import Gate

MIB = 2**20
LEAST_OF_A_CLASS = 10
"""Holdout rows of each class without which figures say next to nothing."""
BY_ROWS = ("no_skill_f1", "average_precision", "calibration_error")
"""Checks whose figures are means over holdout rows."""


def fitness(scores: Scores, rule: Gate) -> tuple[Check, ...]:
    """Check the challenger alone: its proof, its skill, and the floors of the spec."""
    card = scores.challenger
    return (
        proven(scores, "challenger", card.model_version),
        _beats_no_skill(card),
        _ranks(card),
        _calibrated(card, rule),
        _quick(card, rule),
        _small(card, rule),
    )


def proven(scores: Scores, contender: str, version: str) -> Check:
    """Check that a model version was fitted on no row of the holdout; no proof is no."""
    title = f"{contender} version {version}"
    found = [proof for proof in scores.proofs if proof.model_version == version]
    proof = found[0] if found else Proof(version, 0, 0, "nobody looked")
    sentence = f"{title} was fitted on {proof.fitted_rows} rows, none of them in the holdout"
    if proof.problem:
        sentence = f"nothing proves that {title} was fitted on no holdout row: {proof.problem}"
    elif proof.shared_rows:
        sentence = f"{title} was fitted on {proof.shared_rows} rows of the holdout"
    shared = float(proof.shared_rows)
    return Check(f"{contender}_leak", proof.holds, shared, 0.0, sentence, ceiling=True)


def flown(preflight: Preflight | None) -> tuple[Check, ...]:
    """Check that the endpoint answers with the challenger as the pipeline does, where it was asked.

    The value is the number of answers that differ and of replicas that refused the version.
    """
    if preflight is None or not preflight.needed:
        return ()
    found = float(preflight.differences)
    return (Check("preflight", preflight.passed, found, 0.0, preflight.sentence, ceiling=True),)


def enough_rows(card: Scorecard) -> Check:
    """Check that there are holdout rows of each class to judge anybody by."""
    counts = {"positive": card.positives, "negative": card.rows - card.positives}
    fewest, bound = min(counts.values()), LEAST_OF_A_CLASS
    sentence = (
        f"the holdout has {card.positives} positive and {card.rows - card.positives} negative "
        f"rows, at least {bound} of each are needed"
    )
    if fewest < bound:
        more = (f"{bound - rows} more {name}" for name, rows in counts.items() if rows < bound)
        sentence += f": it takes {' and '.join(more)} ones before anybody is judged by it"
    name = "rows_of_a_class"
    return Check(name, fewest >= bound, float(fewest), float(bound), sentence, inclusive=True)


def _beats_no_skill(card: Scorecard) -> Check:
    f1, bound = card.f1, card.no_skill_f1
    passed = f1 > bound
    verb = "beats" if passed else "does not beat"
    sentence = f"F1 {f1:.4f} {verb} the {bound:.4f} of calling every row positive"
    return Check("no_skill_f1", passed, f1, bound, sentence)


def _ranks(card: Scorecard) -> Check:
    precision, bound = card.average_precision, card.positive_share
    passed = precision > bound
    verb = "beats" if passed else "does not beat"
    sentence = f"average precision {precision:.4f} {verb} the {bound:.4f} of ranking rows by chance"
    return Check("average_precision", passed, precision, bound, sentence)


def _calibrated(card: Scorecard, rule: Gate) -> Check:
    error, bound = card.expected_calibration_error, rule.max_calibration_error
    return _ceiling("calibration_error", "expected calibration error", error, bound)


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
