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
from include.stages.select.verdicts import Cut, Lap, judge

SOFT_VOTE = "soft_vote"
VOTERS = (2, 3)
"""How many members a vote may have, each the best finalist of another family."""


@dataclass(frozen=True)
class Vote:
    """The members of a vote and their result together."""

    members: tuple[Candidate, ...]
    lap: Lap


def votes(laps: Sequence[Lap]) -> list[Vote]:
    """Return the votes of the best finalists of the best families; `laps` come best first."""
    best_of_family = {lap.trial.candidate.family: lap for lap in reversed(laps)}
    voters = [lap for lap in laps if best_of_family[lap.trial.candidate.family] is lap]
    return [_vote(voters[:count]) for count in VOTERS if count <= len(voters)]


def winner(laps: Sequence[Lap], voted: Sequence[Vote]) -> tuple[Lap, tuple[Candidate, ...]]:
    """Return the lap with the best F1, and the candidates that it is made of.

    `laps` come best first; of equal ones the one with the fewest members wins.
    """
    alone = laps[0], (laps[0].trial.candidate,)
    return max(
        [alone, *((vote.lap, vote.members) for vote in voted)], key=lambda it: it[0].trial.f1
    )


def soft_vote(members: Sequence[BaseEstimator]) -> VotingClassifier:
    """Return an unfitted classifier that predicts the mean of its members' probabilities."""
    named = [(f"member_{place}", member) for place, member in enumerate(members)]
    return VotingClassifier(named, voting="soft")


def _vote(laps: Sequence[Lap]) -> Vote:
    members = tuple(lap.trial.candidate for lap in laps)
    folds = np.cumsum(laps[0].validated)[:-1]
    probability = np.mean([lap.probability for lap in laps], axis=0)
    candidate = Candidate(SOFT_VOTE, {"members": " + ".join(member.title for member in members)})
    lap = judge(
        candidate,
        Cut(laps[0].trial.rows, len(laps[0].validated)),
        np.split(laps[0].y, folds),
        np.split(probability, folds),
        sum(lap.trial.seconds for lap in laps),
    )
    return Vote(members, lap)
