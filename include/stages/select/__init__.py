"""Selection: a race of candidates over stratified folds, by the gate's metric at a tuned threshold.

Selection sees the train side only. All candidates start on a small part of it, those that are
clearly beaten are eliminated, and the remaining ones run over all folds of all rows, where they are
judged as in an exhaustive search. The threshold is tuned on out-of-fold probabilities.
"""

from include.learners.rows import Fold
from include.stages.select.folds import (
    FoldedRows,
    FoldLabels,
    doubled_order,
    fold_order,
    fold_rows,
)
from include.stages.select.listing import leaderboard_lines, reason_out
from include.stages.select.pipelines import build, candidates
from include.stages.select.rungs import (
    EliminationReasons,
    Rung,
    Rungs,
    SharedFitResult,
    best_first,
    fit_jobs,
    judge_shared_fit,
    reasons_against,
    rungs,
)
from include.stages.select.shared_fits import (
    FoldCache,
    SharedFit,
    fit_and_predict,
    shared_fits,
    use_threads,
)
from include.stages.select.verdicts import (
    CandidateResult,
    FoldSize,
    OutOfFold,
    judge,
    leaderboard,
    with_served_threshold,
)
from include.stages.select.votes import Vote, best_alone_or_voted, soft_vote, votes

__all__ = [
    "CandidateResult",
    "EliminationReasons",
    "Fold",
    "FoldCache",
    "FoldLabels",
    "FoldSize",
    "FoldedRows",
    "OutOfFold",
    "Rung",
    "Rungs",
    "SharedFit",
    "SharedFitResult",
    "Vote",
    "best_alone_or_voted",
    "best_first",
    "build",
    "candidates",
    "doubled_order",
    "fit_and_predict",
    "fit_jobs",
    "fold_order",
    "fold_rows",
    "judge",
    "judge_shared_fit",
    "leaderboard",
    "leaderboard_lines",
    "reason_out",
    "reasons_against",
    "rungs",
    "shared_fits",
    "soft_vote",
    "use_threads",
    "votes",
    "with_served_threshold",
]
