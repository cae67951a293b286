"""What a challenger was judged against is stored as release 0.1.0 stored it."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from include.metrics.call_counts import count_agreement
from include.records.judging import (
    NO_CHAMPION,
    Decision,
    Opponent,
    Rival,
    Scores,
    UnfitChampion,
    Verdict,
)
from include.records.packing import pack
from include.records.proofs import LeakProof
from tests.judged import score, score_slice

Y = np.array([0, 1] * 20, np.int8)
CALLS = Y == 1
CARD = score(Y, CALLS.astype(float), 0.5, "2", 7)
RIVAL = Rival(replace(CARD, model_version="1"), count_agreement(Y, CALLS, CALLS))
STORED = ["champion", "agreement", "unfit_champion"]
SCORES = Scores(
    CARD,
    slices=(score_slice("all", Y, CALLS, CALLS),),
    proofs=(LeakProof("2", 40, 0),),
    looks=3,
)


@pytest.mark.parametrize(
    ("opponent", "held"),
    [(NO_CHAMPION, []), (UnfitChampion("1"), ["unfit_champion"]), (RIVAL, STORED[:2])],
)
def test_an_opponent_comes_back_from_its_fields(opponent: Opponent, held: list[str]) -> None:
    """The fields stand beside the others; those of another opponent are null."""
    scores = replace(SCORES, opponent=opponent)
    decision = Decision(Verdict.HOLD, "because", (), scores)
    stored = pack(decision)
    assert [*stored["scores"]] == [
        "challenger",
        *STORED,
        "slices",
        "proofs",
        "looks",
        "barred",
        "metric",
        "problem",
    ]
    assert [name for name in STORED if stored["scores"][name] is not None] == held
    assert TypeAdapter(Decision).validate_python(stored) == decision
    assert TypeAdapter(Scores).validate_python(pack(scores)) == scores


def test_a_champion_without_the_calls_it_shares_is_no_opponent() -> None:
    """The two are written together, so one alone is damage."""
    stored = pack(replace(SCORES, opponent=RIVAL)) | {"agreement": None}
    with pytest.raises(ValidationError, match="agreement"):
        TypeAdapter(Scores).validate_python(stored)
