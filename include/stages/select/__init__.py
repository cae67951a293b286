"""Selection: a race of candidates over stratified folds, by F1 at a tuned threshold.

Selection sees the train side only. All candidates start on a small part of it, those that are
clearly beaten are eliminated, and the remaining ones run over all folds of all rows, where they are
judged as in an exhaustive search. The threshold is tuned on out-of-fold probabilities.
"""

from include.stages.select.folds import Fold, Folded, doubled, fold_order, folded
from include.stages.select.lanes import Lane, Preparation, lanes, run, use_threads
from include.stages.select.listing import listed, why_out
from include.stages.select.pipelines import build, candidates
from include.stages.select.race_standings import (
    Course,
    RacePart,
    RaceStanding,
    Reasons,
    best_first,
    course,
    eliminated,
    heats,
    standing,
)
from include.stages.select.verdicts import (
    Cut,
    Lap,
    bagged_threshold,
    best_threshold,
    judge,
    leaderboard,
    with_served_threshold,
)
from include.stages.select.votes import Vote, soft_vote, votes, winner

__all__ = [
    "Course",
    "Cut",
    "Fold",
    "Folded",
    "Lane",
    "Lap",
    "Preparation",
    "RacePart",
    "RaceStanding",
    "Reasons",
    "Vote",
    "bagged_threshold",
    "best_first",
    "best_threshold",
    "build",
    "candidates",
    "course",
    "doubled",
    "eliminated",
    "fold_order",
    "folded",
    "heats",
    "judge",
    "lanes",
    "leaderboard",
    "listed",
    "run",
    "soft_vote",
    "standing",
    "use_threads",
    "votes",
    "why_out",
    "winner",
    "with_served_threshold",
]
