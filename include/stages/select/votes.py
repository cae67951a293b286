"""Soft votes: whether finalists are better together, by the mean of their probabilities.

A vote is judged out of fold like a candidate. It takes the time and the size of all its members; of
equal results the one with fewer members wins, and the gate bounds latency and size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import VotingClassifier

from include.records.training import Candidate
from include.stages.select.verdicts import CandidateResult, FoldSize, OutOfFold, judge

SOFT_VOTE = "soft_vote"
VOTERS = (2, 3)
"""How many members a vote may have, each the best finalist of another family."""


@dataclass(frozen=True)
class Vote:
    """The members of a vote and their result together."""

    members: tuple[Candidate, ...]
    result: CandidateResult


def votes(results: Sequence[CandidateResult]) -> list[Vote]:
    """Return the votes of the best finalists of the best families; `results` come best first."""
    best_of_family = {result.trial.candidate.family: result for result in reversed(results)}
    voters = [
        result for result in results if best_of_family[result.trial.candidate.family] is result
    ]
    return [_vote(voters[:count]) for count in VOTERS if count <= len(voters)]


def best_alone_or_voted(
    results: Sequence[CandidateResult], voted: Sequence[Vote]
) -> tuple[CandidateResult, tuple[Candidate, ...]]:
    """Return the best result, and the candidates that it is made of.

    `results` come best first; of equal ones the one with the fewest members wins.
    """
    alone = results[0], (results[0].trial.candidate,)
    return max(
        [alone, *((vote.result, vote.members) for vote in voted)], key=lambda it: it[0].merit
    )


def soft_vote(members: Sequence[BaseEstimator]) -> VotingClassifier:
    """Return an unfitted classifier that predicts the mean of its members' probabilities."""
    named = [(f"member_{place}", member) for place, member in enumerate(members)]
    return VotingClassifier(named, voting="soft")


def _vote(results: Sequence[CandidateResult]) -> Vote:
    members = tuple(result.trial.candidate for result in results)
    folds = np.cumsum(results[0].validated)[:-1]
    probability = np.mean([result.probability for result in results], axis=0)
    candidate = Candidate(SOFT_VOTE, {"members": " + ".join(member.title for member in members)})
    result = judge(
        candidate,
        FoldSize(results[0].trial.rows, len(results[0].validated)),
        OutOfFold(
            np.split(results[0].y, folds),
            np.split(probability, folds),
            sum(result.trial.seconds for result in results),
        ),
        results[0].criterion,
    )
    return Vote(members, result)
