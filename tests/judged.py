"""What the gate and a race need, from labels and plain predictions, by F1."""

from collections.abc import Sequence

import numpy as np

from include.metrics.predictions import ThresholdedProbability
from include.problems import criterion
from include.records.arrays import Calls, Labels, Probabilities
from include.records.judging import Scorecard, SliceScore
from include.records.training import Candidate
from include.stages import score as score_stage
from include.stages.select import CandidateResult, FoldSize, OutOfFold
from include.stages.select import judge as judge_candidate

BY_F1 = criterion("binary", "f1")
F1 = BY_F1.metric


def score(
    y: Labels, probability: Probabilities, threshold: float, version: str, data_version: int
) -> Scorecard:
    """Return the scorecard of a model version."""
    predictions = ThresholdedProbability(probability, threshold)
    return score_stage.score(BY_F1.problem, y, predictions, version, data_version)


def called(calls: Calls) -> ThresholdedProbability:
    """Return the predictions of a model that is sure of its calls."""
    return ThresholdedProbability(calls.astype(np.float64), 0.5)


def score_slice(
    name: str, y: Labels, challenger: Calls, champion: Calls | None = None
) -> SliceScore:
    """Return the scores of calls on the rows of a slice."""
    other = None if champion is None else called(champion)
    return score_stage.score_slice(name, BY_F1, y, called(challenger), other)


def judge(
    candidate: Candidate,
    fold_size: FoldSize,
    labels: Sequence[Labels],
    probabilities: Sequence[Probabilities],
    seconds: float,
) -> CandidateResult:
    """Return the result of a candidate over some folds."""
    return judge_candidate(candidate, fold_size, OutOfFold(labels, probabilities, seconds), BY_F1)
