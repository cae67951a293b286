"""Leak proof as a check: shows that neither contender was fitted on a holdout row."""

from include.problems import Criterion, criterion
from include.records.judging import Check, Scores
from include.records.proofs import LeakProof
from include.stages.decide.adopted import agreement, grounds


def leak_checks(scores: Scores, contender: str, version: str) -> Check:
    """Check that a model version was fitted on no holdout row; a missing proof fails."""
    title = f"{contender} version {version}"
    proof = proof_of(scores, version)
    sentence = f"{title} was fitted on {proof.fitted_rows} rows, none of them in the holdout"
    if proof.problem:
        sentence = f"nothing proves that {title} was fitted on no holdout row: {proof.problem}"
    elif proof.shared_rows:
        sentence = f"{title} was fitted on {proof.shared_rows} rows of the holdout"
    elif proof.adopted:
        sentence = grounds(title, proof.adopted, criterion_of(scores))
    shared = float(proof.shared_rows)
    return Check(f"{contender}_leak", proof.holds, shared, 0.0, sentence, ceiling=True)


def agreement_checks(scores: Scores, contender: str, version: str) -> tuple[Check, ...]:
    """Check that an adopted model scores alike on older and later rows, where older ones count."""
    ground = proof_of(scores, version).adopted
    if ground is None:
        return ()
    check = agreement(contender, ground, criterion_of(scores))
    return (check,) if check is not None and check.passed else ()


def criterion_of(scores: Scores) -> Criterion:
    """Return what the contenders are compared by."""
    return criterion(scores.problem, scores.metric)


def proof_of(scores: Scores, version: str) -> LeakProof:
    """Return the proof of a model version; where there is none, one that does not hold."""
    proofs = (proof for proof in scores.proofs if proof.model_version == version)
    return next(proofs, LeakProof(version, 0, 0, "nobody looked"))
