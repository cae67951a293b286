"""The leaderboard as people read it."""

from dataclasses import replace

import numpy as np

from include.records.arrays import FitOutcome
from include.records.training import Candidate, Trial
from include.stages.select import FoldSize, SharedFit, judge_shared_fit, leaderboard_lines
from tests.judged import BY_F1, F1

FITTED = Trial(Candidate("forest", {}), 5000, 0.51, (0.5, 0.52), 0.3, 1.0, best_value=0.53)
RIVAL = replace(FITTED, candidate=Candidate("boosting", {}), value=0.52, best_value=0.525)
PART = Trial(Candidate("linear", {}), 100, 0.4, (0.4,), 0.3, 1.0, left="0.1 behind")
SICK = replace(PART, candidate=Candidate("sick", {}), value=0.0, left="", failure="it is\n  ill")
EARLY = replace(SICK, failure="ended early at size 40, for nothing was gained", ended_early=40)


def test_each_line_has_both_figures_and_what_became_of_it() -> None:
    """Who ran over a part has no F1 as served, and who came to nothing has none at all."""
    head, *lines = leaderboard_lines([FITTED, RIVAL, PART, SICK, EARLY], "ran to the end", F1)
    assert head.split() == ["F1", "as", "served", "F1", "at", "best", "rows", "candidate"]
    assert [line.split()[:4] for line in lines] == [
        ["1.", "0.5100", "0.5300", "5,000"],
        ["2.", "0.5200", "0.5250", "5,000"],
        ["3.", "-", "0.4000", "100"],
        ["4.", "-", "-", "100"],
        ["5.", "-", "-", "100"],
    ]
    assert [line.partition("): ")[2] for line in lines] == [
        "ran to the end",
        "ran to the end",
        "0.1 behind",
        "failed: it is ill",
        "ended early at size 40, for nothing was gained",
    ]
    assert len({line.index(line.split()[4]) for line in [*lines]}) == 1


def test_a_size_that_boosting_did_not_reach_is_no_failure() -> None:
    """Its line names the fewest rounds after which a fold had enough."""
    shared_fit = SharedFit((Candidate("b", {"n": 20}), Candidate("b", {"n": 400})), "n")
    labels = [np.array([0, 1, 0, 1], np.int8)] * 2
    said = np.array([[0.1, 0.9, 0.2, 0.8], [np.nan] * 4])
    outcomes = [FitOutcome(said, 1.0, reached=57), FitOutcome(said, 1.0, reached=40)]
    (early,) = judge_shared_fit(shared_fit, FoldSize(8, 2), labels, outcomes, BY_F1).unfit
    assert early.ended_early == 40
    assert early.failure.startswith("ended early at size 40")
    failed = [FitOutcome(np.empty((0, 0)), 1.0, "too few rows"), outcomes[0]]
    for one in judge_shared_fit(shared_fit, FoldSize(8, 2), labels, failed, BY_F1).unfit:
        assert (one.ended_early, one.failure) == (None, "too few rows")
