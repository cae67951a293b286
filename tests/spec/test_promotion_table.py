"""Who is promoted, as a table: what the gate says of each pair of contenders."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from include.metrics.call_counts import CallCounts, count_agreement
from include.records.judging import Decision, Rival, Scores, UnfitChampion, Verdict
from include.records.proofs import AdoptionGround, LeakProof
from include.records.training import Form
from include.spec.model_spec import Gate
from include.stages.decide import counts_everywhere, decide, required_win_share
from tests.judged import BY_F1, score, score_slice

POSITIVES, NEGATIVES = 100, 900
Y = np.repeat(np.array([1, 0], np.int8), [POSITIVES, NEGATIVES])
"""Calling every row positive has F1 0.1818 here."""


def calls(hits: int, alarms: int, *, others: bool = False) -> np.ndarray:
    """Return the calls of a model: so many positives and so many negatives are called positive.

    Two models call the same rows first, unless one of them calls `others`.
    """
    side = slice(None, None, -1 if others else 1)
    hit, alarm = np.arange(POSITIVES)[side] < hits, np.arange(NEGATIVES)[side] < alarms
    return np.concatenate([hit, alarm])


def proof(version: str, shared: int = 0, problem: str = "") -> LeakProof:
    """Return a proof that holds, unless rows are shared or something stands in the way."""
    return LeakProof(version, 4000, shared, problem)


PROVEN = (proof("2"), proof("1"))


def scores(challenger: np.ndarray, champion: np.ndarray | None) -> Scores:
    """Return the scores of two models that are sure of their calls and proved to be fair."""
    card = score(Y, challenger.astype(float), 0.5, "2", 5)
    if champion is None:
        return Scores(card, proofs=PROVEN[:1])
    other = score(Y, champion.astype(float), 0.5, "1", 5)
    agreement = count_agreement(Y, challenger, champion)
    return Scores(card, Rival(other, agreement), proofs=PROVEN)


CHAMPION = calls(60, 60)  # F1 0.5455
SURE = calls(70, 60)  # the same and ten hits more: F1 0.6087
LUCKY = calls(61, 60)  # the same and one hit more: F1 0.5520
NOISY = calls(63, 60, others=True)  # other rows, a little better: F1 0.5650
WORSE = calls(50, 60)  # F1 0.4762
UNSKILLED = calls(10, 90)  # F1 0.1000
ALONE = [
    "challenger_leak",
    "no_skill",
    "average_precision",
    "calibration_error",
    "latency_ms",
    "size_mib",
]
ROWS = ["rows_of_a_class"]
PAIR = ["champion_leak", "better", "beyond_noise"]


@pytest.mark.parametrize(
    ("challenger", "champion", "force", "confidence", "verdict", "reason"),
    [
        (SURE, None, False, 0.95, "PROMOTE", "first model with skill: F1 0.6087 beats the 0.1818"),
        (UNSKILLED, None, False, 0.95, "REJECT", "F1 0.1000 does not beat the 0.1818"),
        (UNSKILLED, None, True, 0.95, "REJECT", "does not beat the 0.1818"),
        (UNSKILLED, CHAMPION, True, 0.95, "REJECT", "does not beat the 0.1818"),
        (SURE, CHAMPION, False, 0.95, "PROMOTE", "F1 0.6087 beats champion F1 0.5455 (version 1)"),
        (CHAMPION, CHAMPION, False, 0.95, "HOLD", "F1 0.5455 (version 1) on the same 1000"),
        (CHAMPION, CHAMPION, False, 0.5, "HOLD", "does not beat champion"),
        (LUCKY, CHAMPION, False, 0.95, "HOLD", "(rows: 1), 95.0% are asked (no gain on so few"),
        (LUCKY, CHAMPION, False, 0.5, "PROMOTE", "F1 0.5520 beats champion F1 0.5455"),
        (NOISY, CHAMPION, False, 0.95, "HOLD", "can tell from noise is about 0."),
        (NOISY, CHAMPION, False, 0.5, "PROMOTE", "F1 0.5650 beats champion"),
        (NOISY, CHAMPION, True, 0.95, "PROMOTE", "forced from the trigger form, although"),
        (WORSE, CHAMPION, False, 0.5, "HOLD", "F1 0.4762 does not beat champion F1 0.5455"),
        (WORSE, CHAMPION, True, 0.95, "PROMOTE", "forced from the trigger form, although"),
        (SURE, CHAMPION, True, 0.95, "PROMOTE", "challenger F1 0.6087 beats"),
    ],
)  # fmt: skip
def test_what_becomes_of_a_challenger(  # noqa: PLR0913, PLR0917 - the columns of the table
    challenger: np.ndarray,
    champion: np.ndarray | None,
    force: bool,  # noqa: FBT001
    confidence: float,
    verdict: str,
    reason: str,
) -> None:
    """REJECT is about the challenger alone, HOLD about the pair; force passes HOLD only."""
    judged = scores(challenger, champion)
    decision = decide(judged, Form(force=force, note="why"), Gate(confidence=confidence))
    assert decision.verdict == Verdict(verdict)
    assert reason in decision.reason
    assert decision.scores == judged
    assert decision.note == "why"


@pytest.mark.parametrize(
    ("challenger", "champion", "failed"),
    [
        (UNSKILLED, CHAMPION, ["no_skill", "average_precision"]),
        (SURE, None, []),
        (WORSE, CHAMPION, ["better", "beyond_noise"]),
        (LUCKY, CHAMPION, ["beyond_noise"]),
        (SURE, CHAMPION, []),
    ],
)
def test_a_decision_lists_its_checks(
    challenger: np.ndarray, champion: np.ndarray | None, failed: list[str]
) -> None:
    """Those of the challenger alone, and, once it passed them, those of the pair.

    Each carries the value, the bound and the sentence it was judged by.
    """
    decision = decide(scores(challenger, champion), Form(), Gate())
    compared = champion is not None and decision.verdict is not Verdict.REJECT
    assert [check.name for check in decision.checks] == ALONE + ROWS + (PAIR if compared else [])
    assert [check.name for check in decision.checks if not check.passed] == failed
    for check in decision.checks:
        within = check.value <= check.bound if check.ceiling else check.value > check.bound
        assert check.passed == (within or (check.inclusive and check.value == check.bound))
        told = (
            f"{check.bound:.4f}",
            f"{check.bound:.1%}",
            f"the {check.bound:g} that",
            "none of them",
            "at least 10 of each",
        )
        assert any(figure in check.sentence for figure in told)


@pytest.mark.parametrize(
    ("challenger", "forced"), [(WORSE, True), (SURE, False)], ids=["needed it", "did not need it"]
)
def test_a_decision_says_whether_force_was_needed(challenger: np.ndarray, *, forced: bool) -> None:
    """A challenger that won by itself is not recorded as forced."""
    assert decide(scores(challenger, CHAMPION), Form(force=True), Gate()).forced is forced


NO_PROOF: tuple[LeakProof, ...] = ()
LEAKY = (proof("2", shared=3), proof("1"))
UNREADABLE = (proof("2", problem="data version 7 is gone"), proof("1"))
CHAMPION_LEAKY = (proof("2"), proof("1", shared=3))
CHAMPION_UNPROVED = (proof("2"), proof("1", problem="it names no data version"))


@pytest.mark.parametrize(
    ("proofs", "force", "verdict", "reason"),
    [
        (PROVEN, False, "PROMOTE", "F1 0.6087 beats champion F1 0.5455"),
        (NO_PROOF, False, "REJECT", "challenger version 2 was fitted on no holdout row: nobody"),
        (NO_PROOF, True, "REJECT", "nobody looked"),
        (LEAKY, False, "REJECT", "challenger version 2 was fitted on 3 rows of the holdout"),
        (LEAKY, True, "REJECT", "fitted on 3 rows of the holdout"),
        (UNREADABLE, True, "REJECT", "was fitted on no holdout row: data version 7 is gone"),
        (PROVEN[:1], False, "HOLD", "champion version 1 was fitted on no holdout row: nobody"),
        (CHAMPION_LEAKY, False, "HOLD", "champion version 1 was fitted on 3 rows of the holdout"),
        (CHAMPION_UNPROVED, False, "HOLD", "not judged against: roll back, adopt it again, or"),
        (CHAMPION_UNPROVED, True, "PROMOTE", "although nothing proves that champion"),
    ],
)  # fmt: skip
def test_who_may_be_judged(
    proofs: tuple[LeakProof, ...],
    force: bool,  # noqa: FBT001
    verdict: str,
    reason: str,
) -> None:
    """A model that may have seen the holdout is not scored by it.

    The challenger is rejected then, forced or not. A champion leaves nothing to compare with: a
    person has to mend that, or force.
    """
    judged = replace(scores(SURE, CHAMPION), proofs=proofs)
    decision = decide(judged, Form(force=force), Gate())
    assert decision.verdict == Verdict(verdict)
    assert reason in decision.reason


GROUND = AdoptionGround(3, 400, 0.99)
SAME = CallCounts(hits=60, misses=40, false_calls=60, rest=840)
HEART = CallCounts(hits=50, misses=0, false_calls=0, rest=50)
TRUSTED = replace(GROUND, older=SAME, later=SAME)
ADOPTED = "adopted at data version 3 and"
WORD = "is judged on holdout rows that came after that alone"


def adopted(who: str, ground: AdoptionGround, problem: str = "") -> tuple[LeakProof, ...]:
    """Return proofs of which one is of an adopted contender."""
    return tuple(
        replace(one, adopted=ground, problem=problem, waits=bool(problem))
        if one.model_version == who
        else one
        for one in PROVEN
    )


@pytest.mark.parametrize(
    ("proofs", "force", "verdict", "sentence"),
    [
        (adopted("2", TRUSTED), False, "PROMOTE", "with 400 rows that it was fitted on, 99.0% of"),
        (adopted("2", TRUSTED), False, "PROMOTE", "since: it is higher there on "),
        (adopted("2", AdoptionGround(3)), False, "PROMOTE", f"{WORD}, none of them among"),
        (adopted("2", AdoptionGround(3)), False, "PROMOTE", "it names no rows that it was"),
        (adopted("2", replace(GROUND, known_share=0.9)), False, "PROMOTE", "90.0% are train rows"),
        (adopted("2", replace(GROUND, shared_rows=7)), False, "PROMOTE", "names 7 are in the hold"),
        (adopted("2", replace(GROUND, problem="altered")), False, "PROMOTE", "fitted on: altered"),
        (adopted("2", replace(TRUSTED, older=HEART)), False, "PROMOTE", "1.0000, is above the 0.5"),
        (adopted("1", TRUSTED), False, "PROMOTE", "F1 of the adopted champion on the 1000"),
        (adopted("1", replace(TRUSTED, older=HEART)), False, "PROMOTE", f"version 1 was {ADOPTED}"),
        (adopted("2", GROUND, "it takes 3 more"), False, "HOLD", "holdout row: it takes 3 more"),
        (adopted("2", GROUND, "it takes 3 more"), True, "HOLD", "holdout row: it takes 3 more"),
        (adopted("1", GROUND, "it takes 3 more"), False, "HOLD", "until then it is not judged"),
        (adopted("1", GROUND, "it takes 3 more"), True, "PROMOTE", "wait, roll back, or force"),
    ],
)  # fmt: skip
def test_what_the_word_of_an_operator_is_worth(
    proofs: tuple[LeakProof, ...],
    force: bool,  # noqa: FBT001
    verdict: str,
    sentence: str,
) -> None:
    """Older holdout rows count where the named rows are known and later ones say the same.

    Else an adopted model is judged on later ones, and the decision says why. Until there are
    enough, it is held, and no force passes that; against a champion that waits, force does.
    """
    judged = replace(scores(SURE, CHAMPION), proofs=proofs)
    decision = decide(judged, Form(force=force), Gate())
    assert decision.verdict == Verdict(verdict)
    assert any(sentence in check.sentence for check in decision.checks)


@pytest.mark.parametrize(
    ("older", "later", "everywhere"),
    [
        (SAME, SAME, True),
        (CallCounts(50, 50, 60, 840), SAME, True),
        (CallCounts(75, 25, 40, 860), SAME, False),
        (HEART, CallCounts(10, 0, 0, 10), True),
        (HEART, CallCounts(7, 3, 2, 8), False),
        (HEART, CallCounts(9, 0, 0, 100), False),
        (CallCounts(9, 0, 0, 100), SAME, False),
        (None, SAME, False),
        (SAME, None, False),
    ],
)
def test_a_model_that_falls_on_later_rows_may_have_seen_the_older_ones(
    older: CallCounts | None, later: CallCounts | None, *, everywhere: bool
) -> None:
    """The older rows count where F1 there is not above that on later ones beyond noise.

    That is not known of fewer than ten of a class.
    """
    ground = replace(GROUND, older=older, later=later)
    assert counts_everywhere(ground, BY_F1) is everywhere


def test_an_unproved_champion_is_not_compared_with() -> None:
    """No figure of the comparison stands in the decision, because it would say nothing."""
    decision = decide(replace(scores(SURE, CHAMPION), proofs=PROVEN[:1]), Form(), Gate())
    assert [check.name for check in decision.checks] == [*ALONE, *ROWS, "champion_leak"]
    assert decision.smallest_gain is None


@pytest.mark.parametrize(
    ("rule", "slow", "force", "verdict", "reason"),
    [
        (Gate(), False, False, "PROMOTE", "beats champion"),
        (Gate(max_calibration_error=0.1), False, False, "PROMOTE", "beats champion"),
        (Gate(max_calibration_error=0.01), False, True, "REJECT", "error, 0.09, is above the 0.01"),
        (Gate(max_latency_ms=20), False, False, "PROMOTE", "beats champion"),
        (Gate(max_latency_ms=20), True, True, "REJECT", "milliseconds, 40, is above the 20"),
        (Gate(max_size_mib=2), True, True, "REJECT", "in MiB, 3, is above the 2"),
    ],
)  # fmt: skip
def test_the_floors_of_the_spec(
    rule: Gate,
    slow: bool,  # noqa: FBT001
    force: bool,  # noqa: FBT001
    verdict: str,
    reason: str,
) -> None:
    """Calibration, latency and size are about the challenger alone, so they REJECT."""
    judged = scores(SURE, CHAMPION)
    if slow:
        card = replace(judged.challenger, latency_ms=40.0, size_bytes=3 * 2**20)
        judged = replace(judged, challenger=card)
    decision = decide(judged, Form(force=force), rule)
    assert decision.verdict == Verdict(verdict)
    assert reason in decision.reason


def test_a_model_that_ranks_by_chance_is_rejected() -> None:
    """Its threshold may be lucky; its average precision is that of no skill."""
    judged = scores(SURE, CHAMPION)
    figures = {
        **judged.challenger.figures,
        "average_precision": POSITIVES / len(Y),
    }
    card = replace(judged.challenger, figures=figures)
    decision = decide(replace(judged, challenger=card), Form(force=True), Gate())
    assert decision.verdict is Verdict.REJECT
    assert decision.reason == (
        "average precision 0.1000 does not beat the 0.1000 of ranking rows by chance"
    )


def test_everything_that_is_amiss_is_told() -> None:
    """A rejection names each check that failed, not the first alone."""
    judged = replace(scores(UNSKILLED, CHAMPION), proofs=())
    reason = decide(judged, Form(), Gate(max_calibration_error=0.01)).reason
    for part in ("nobody looked", "calling every row", "by chance", "calibration"):
        assert part in reason


@pytest.mark.parametrize(("force", "verdict"), [(False, "HOLD"), (True, "PROMOTE")])
@pytest.mark.parametrize("champion", [CHAMPION, None], ids=["champion", "none"])
def test_a_barred_challenger_waits_for_a_person(
    champion: np.ndarray | None,
    force: bool,  # noqa: FBT001
    verdict: str,
) -> None:
    """What was rolled back does not come back by the same data, unless it is forced."""
    judged = replace(scores(SURE, champion), barred="its data's model was rolled back")
    decision = decide(judged, Form(force=force), Gate())
    assert decision.verdict == Verdict(verdict)
    assert "its data's model was rolled back" in decision.reason
    assert decision.forced is force


def test_a_champion_that_cannot_answer_gives_way_without_a_proof() -> None:
    """There is nothing to compare with, and the endpoint needs a model that can answer."""
    judged = replace(scores(SURE, None), opponent=UnfitChampion("1"))
    decision = decide(judged, Form(), Gate())
    assert decision.verdict is Verdict.PROMOTE
    assert "champion version 1 cannot answer rows as they are now; F1 0.6087" in decision.reason


@pytest.mark.parametrize(
    ("wins", "losses", "confidence", "verdict", "reason"),
    [
        (3, 0, 0.95, "HOLD", "larger than in 87.5% of all ways to swap the two models' calls"),
        (3, 0, 0.95, "HOLD", "(rows: 3), 95.0% are asked (no gain on so few rows can be told"),
        (4, 0, 0.95, "HOLD", "in 93.8% of all ways"),
        (5, 0, 0.95, "PROMOTE", "in 96.9% of all ways"),
        (5, 0, 0.99, "HOLD", "at least 7 have to differ"),
        (3, 0, 0.875, "PROMOTE", "in 87.5% of all ways"),
        (3, 0, 0.5, "PROMOTE", "in 87.5% of all ways"),
        (2, 1, 0.5, "PROMOTE", "in 50.0% of all ways"),
        (12, 7, 0.95, "HOLD", "(rows: 19), 95.0% are asked (the smallest gain that these rows can"),
        (13, 7, 0.95, "HOLD", "of resampled holdouts, 95.0% are asked"),
    ],
)  # fmt: skip
def test_few_rows_on_which_two_models_differ(
    wins: int, losses: int, confidence: float, verdict: str, reason: str
) -> None:
    """Of fewer than 20 every way to swap the calls is counted: three wins to none are chance."""
    challenger = CHAMPION.copy()
    challenger[60 : 60 + wins], challenger[:losses] = True, False
    decision = decide(scores(challenger, CHAMPION), Form(), Gate(confidence=confidence))
    assert decision.verdict == Verdict(verdict)
    assert reason in decision.reason


def test_more_looks_ask_more_of_few_rows_too() -> None:
    """Five wins to none pass at the first look at a holdout, and not after a year of them."""
    judged = scores(calls(65, 60), CHAMPION)
    later = decide(replace(judged, looks=364), Form(), Gate())
    assert decide(judged, Form(), Gate()).verdict is Verdict.PROMOTE
    assert later.verdict is Verdict.HOLD
    assert "98.4% are asked after 364 earlier looks at this holdout, 95.0%" in later.reason


def small(positives: int, negatives: int, *, skilled: bool = True) -> Scores:
    """Return the scores of a first model on so few rows, right or wrong on every one."""
    y = np.repeat(np.array([1, 0], np.int8), [positives, negatives])
    card = score(y, (y if skilled else 1 - y).astype(float), 0.5, "2", 5)
    return Scores(card, proofs=PROVEN[:1])


@pytest.mark.parametrize(
    ("judged", "force", "verdict", "reason"),
    [
        (small(10, 10), False, "PROMOTE", "first model with skill"),
        (small(9, 90), False, "HOLD", "needed: it takes 1 more positive ones"),
        (small(90, 4), False, "HOLD", "needed: it takes 6 more negative ones"),
        (small(3, 9), False, "HOLD", "it takes 7 more positive and 1 more negative ones"),
        (small(9, 90), True, "PROMOTE", "forced from the trigger form, although the holdout has 9"),
        (small(3, 9, skilled=False), False, "HOLD", "F1 0.0000 does not beat"),
        (small(3, 9, skilled=False), False, "HOLD", "7 more positive and 1 more negative"),
        (small(3, 9, skilled=False), True, "HOLD", "F1 0.0000 does not beat"),
        (small(10, 10, skilled=False), True, "REJECT", "F1 0.0000 does not beat"),
        (replace(small(9, 90), proofs=LEAKY), True, "REJECT", "fitted on 3 rows of the holdout"),
        (replace(small(9, 90), proofs=LEAKY), False, "REJECT", "it takes 1 more positive ones"),
    ],
)  # fmt: skip
def test_too_few_rows_of_a_class_judge_nobody(
    judged: Scores,
    force: bool,  # noqa: FBT001
    verdict: str,
    reason: str,
) -> None:
    """Below ten of a class it is a HOLD that says how many more it takes.

    A person may force that, but not a challenger without skill. What needs no rows to be known
    rejects as ever.
    """
    decision = decide(judged, Form(force=force), Gate())
    assert decision.verdict == Verdict(verdict)
    assert reason in decision.reason


@pytest.mark.parametrize(("positives", "more"), [(1, 9), (2, 8), (3, 7), (9, 1), (10, 0), (12, 0)])
def test_a_holdout_with_few_positives_is_judged_without_a_fault(positives: int, more: int) -> None:
    """Beside a champion, with slices that hold none of them; and it says how many more it takes."""
    y = np.repeat(np.array([1, 0], np.int8), [positives, 60])
    mine, theirs = y == 1, np.arange(len(y)) == 0
    cards = [
        score(y, one.astype(float), 0.5, name, 5) for name, one in (("2", mine), ("1", theirs))
    ]
    inside = (y == 0, np.zeros(len(y), bool), np.arange(len(y)) < positives)
    slices = [score_slice(f"s{n}", y[i], mine[i], theirs[i]) for n, i in enumerate(inside)]
    judged = Scores(cards[0], Rival(cards[1], count_agreement(y, mine, theirs)), proofs=PROVEN)
    decision = decide(replace(judged, slices=tuple(slices)), Form(), Gate())
    says_how_many = f"it takes {more} more positive ones" in decision.reason
    assert says_how_many is (more > 0)
    assert decision.verdict is (Verdict.HOLD if more else Verdict.PROMOTE)


def test_a_slow_model_is_rejected_however_few_the_rows() -> None:
    """Its latency is no figure of the holdout."""
    judged = small(3, 9)
    slow = replace(judged, challenger=replace(judged.challenger, latency_ms=4000.0))
    assert decide(slow, Form(), Gate()).verdict is Verdict.REJECT


# Ten hits more in all, but of the first 30 positives ten are lost.
UNFAIR = np.concatenate([np.arange(POSITIVES) >= 10, calls(0, 60)[POSITIVES:]])
YOUNG = np.concatenate([np.arange(POSITIVES) < 30, np.arange(NEGATIVES) < 90])
NOBODY = np.zeros(len(Y), bool)
ALL_NEGATIVE = np.arange(len(Y)) >= POSITIVES
# Twenty hits more in all, for six calls of negatives that the champion makes elsewhere.
ALARMING = np.concatenate([np.arange(POSITIVES) < 80, np.arange(NEGATIVES) >= NEGATIVES - 6])
LAST_TEN = np.arange(len(Y)) >= len(Y) - 10
MISSED = LAST_TEN | ((np.arange(len(Y)) >= 95) & (Y == 1))
"""These and five positives that neither calls positive."""


def sliced(challenger: np.ndarray, *parts: np.ndarray) -> Scores:
    """Return scores against the champion, with the slices called s0, s1 and so on."""
    cut = (
        score_slice(f"s{number}", Y[part], challenger[part], CHAMPION[part])
        for number, part in enumerate(parts)
    )
    return replace(scores(challenger, CHAMPION), slices=tuple(cut))


@pytest.mark.parametrize(
    ("judged", "rule", "force", "verdict", "reason"),
    [
        (sliced(SURE, YOUNG), Gate(), False, "PROMOTE", "beats champion"),
        (sliced(UNFAIR, ~YOUNG), Gate(), False, "PROMOTE", "beats champion"),
        (sliced(UNFAIR, NOBODY), Gate(), False, "PROMOTE", "beats champion"),
        (sliced(UNFAIR, YOUNG), Gate(), False, "HOLD", "; harm on slice s0: the"),
        (sliced(UNFAIR, ~YOUNG, YOUNG), Gate(), False, "HOLD", "; harm on slice s1: the"),
        (sliced(ALARMING, ALL_NEGATIVE), Gate(), False, "PROMOTE", "beats champion"),
        (sliced(ALARMING, LAST_TEN), Gate(), False, "HOLD", "harm on slice s0: of its 10 rows"),
        (sliced(ALARMING, LAST_TEN), Gate(), False, "HOLD", "calls 6 positive, the champion 0"),
        (sliced(ALARMING, MISSED), Gate(), False, "HOLD", "of its 15 rows, 5 of them positive and"),
        (sliced(ALARMING, MISSED), Gate(), False, "HOLD", "calls 6 positive, the champion 0"),
        (sliced(SURE, ALL_NEGATIVE), Gate(), False, "PROMOTE", "beats champion"),
        (sliced(UNFAIR, YOUNG), Gate(slice_harm=1), False, "PROMOTE", "beats champion"),
        (sliced(UNFAIR, YOUNG), Gate(), True, "PROMOTE", "although challenger F1 0.7200"),
    ],
)  # fmt: skip
def test_nobody_pays_for_the_gain_of_the_rest(
    judged: Scores,
    rule: Gate,
    force: bool,  # noqa: FBT001
    verdict: str,
    reason: str,
) -> None:
    """A challenger that is better on the whole is held while it loses on a slice beyond noise.

    The more slices there are, the more is asked for a loss; 1 only reports them.
    """
    decision = decide(judged, Form(force=force), rule)
    assert decision.verdict == Verdict(verdict)
    assert reason in decision.reason


@pytest.mark.parametrize(
    ("confidence", "looks", "rows", "share"),
    [
        (0.95, 0, 20_000, 0.9500),
        (0.95, 1, 20_000, 0.9549),
        (0.95, 30, 20_000, 0.9698),
        (0.95, 364, 20_000, 0.9788),
        (0.95, 364, 1_000, 0.9843),
        (0.99, 364, 20_000, 0.9980),
        (0.50, 364, 20_000, 0.5000),
    ],
)
def test_what_is_asked_after_so_many_looks(
    confidence: float, looks: int, rows: int, share: float
) -> None:
    """The more challengers a holdout has judged, the surer the next one has to be.

    Plain "beats it" stays that.
    """
    assert required_win_share(confidence, looks, rows) == pytest.approx(share, abs=0.00006)


def looked(looks: int) -> Decision:
    """Return the decision on a challenger that wins on 94 % of resampled holdouts."""
    judged = scores(calls(75, 60, others=True), CHAMPION)
    return decide(replace(judged, looks=looks), Form(), Gate(confidence=0.9))


def test_the_same_scores_may_be_held_by_a_holdout_that_was_looked_at_often() -> None:
    """The decision says what is asked now, what was asked at first, and what could be seen."""
    first, later = looked(0), looked(10_000)
    assert first.verdict is Verdict.PROMOTE
    assert later.verdict is Verdict.HOLD
    assert "after 10000 earlier looks at this holdout, 90.0% at the first" in later.reason
    assert first.smallest_gain is not None
    assert later.smallest_gain is not None
    assert first.smallest_gain < later.smallest_gain


@pytest.mark.long
def test_equal_models_are_rarely_promoted() -> None:
    """Of 200 pairs of equal quality few get through, about the share that the gate accepts."""
    rng = np.random.default_rng(7)
    known = scores(CHAMPION, CHAMPION).challenger
    promoted = 0
    for _ in range(200):
        one, two = (rng.random(len(Y)) < np.where(Y == 1, 0.6, 0.07) for _ in range(2))
        mine, theirs = (
            replace(known, figures={**known.figures, "f1": float(f1_score(Y, called))})
            for called in (one, two)
        )
        judged = Scores(mine, Rival(theirs, count_agreement(Y, one, two)), proofs=PROVEN)
        verdict = decide(judged, Form(), Gate()).verdict
        promoted += verdict is Verdict.PROMOTE
    assert 0.01 < promoted / 200 < 0.10
