"""Selection: a race of candidates over stratified folds, by F1 at a tuned threshold.

Selection sees the train side only. All candidates start on a small part of it, those that are
clearly beaten are eliminated, and the remaining ones run over all folds of all rows, where they are
judged as in an exhaustive search. The threshold is tuned on out-of-fold probabilities.
"""

from include.stages.select.folds import Fold, Folded, doubled, fold_order, folded
from include.stages.select.lanes import Lane, Preparation, lanes, run, use_threads
from include.stages.select.listing import became, listed
from include.stages.select.pipelines import build, candidates
from include.stages.select.race_standings import (
    Course,
    RacePart,
    RaceStanding,
    Reasons,
    best_first,
    course,
    heats,
    out,
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
    "became",
    "best_first",
    "best_threshold",
    "build",
    "candidates",
    "course",
    "doubled",
    "fold_order",
    "folded",
    "heats",
    "judge",
    "lanes",
    "leaderboard",
    "listed",
    "out",
    "run",
    "soft_vote",
    "standing",
    "use_threads",
    "votes",
    "winner",
    "with_served_threshold",
]
