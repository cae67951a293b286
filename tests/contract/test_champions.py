"""Who becomes champion and who is brought back, step by step as the Dags call them."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import mlflow
import pytest

from demo.data import pulsar_rows
from include.context.step_context import StepContext
from include.errors import ChampionMovedError, RollBackError
from include.records.judging import Decision, Rival, Scores, Verdict
from include.records.moves import Answer, MoveKind, RollBack
from include.records.training import Form, NoNewData
from include.steps import leak_proof as leak_proof_step
from include.steps import promote as promote_step
from include.steps.computed_keys import keyed_by
from tests import steps
from tests.contract.pipeline import Run, drop, rows, run

ROWS = pulsar_rows(600, seed=1)
FORCED = Form(force=True, no_new_data=NoNewData.RETRAIN)
YES = Answer(approved=True, by="Ada", at="2026-05-04T03:02:01+00:00")
NO = replace(YES, approved=False)


@pytest.fixture
def asking(context: StepContext) -> StepContext:
    """Return a context whose spec asks for an approval, with its first rows dropped."""
    gate = context.spec.gate.model_copy(update={"approval": True})
    drop(context, ROWS)
    return replace(context, spec=context.spec.model_copy(update={"gate": gate}))


def back(key: str, steps_back: int = 1) -> RollBack:
    """Return what a person asks for."""
    return RollBack(key, steps_back, reason="it calls everything positive", by="Ada")


def promoted(context: StepContext, count: int) -> list[Run]:
    """Promote one model after another, each on rows of its own, and return their runs."""
    share = ROWS.height // count
    runs = []
    for number in range(count):
        drop(context, ROWS[number * share : (number + 1) * share], f"{number}.csv")
        runs.append(run(context, FORCED))
        assert context.registry.champion.current() == runs[-1].challenger
    return runs


def champions(context: StepContext) -> list[str | None]:
    """Return the champions there were, the present one last."""
    return [move.version for move in context.registry.champion.moves()]


def test_who_lost_the_race_is_judged_again_by_itself(context: StepContext) -> None:
    """Scores against a champion that is gone are not acted on; the new one is the opponent."""
    first, second = promoted(context, 2)
    stale: Scores = second.scores
    late = run(context, Form(no_new_data=NoNewData.RETRAIN))
    assert late.scores.champion is not None
    card, proofs = late.scores.challenger, (late.scores.proofs[0], stale.proofs[1])
    decision: Decision = steps.promote(
        context, late.plan, late.challenger, replace(stale, challenger=card, proofs=proofs), FORCED
    )
    assert stale.champion is not None
    assert stale.champion.model_version == first.challenger.version
    assert decision.scores.champion is not None
    assert decision.scores.champion.model_version == second.challenger.version
    assert champions(context) == [one.challenger.version for one in (first, second, late)]


def test_a_champion_that_never_stands_still_is_an_error_in_the_end(
    context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judging again is bounded, and nothing has moved."""
    first, second = promoted(context, 2)
    asked: list[Scores] = []

    def always_stale(*_: object) -> Scores:
        asked.append(first.scores)
        card, proofs = second.scores.challenger, second.scores.proofs[:1]
        return replace(first.scores, challenger=card, proofs=proofs)

    monkeypatch.setattr(promote_step, "score", always_stale)
    third = replace(second.challenger, version="99")
    with pytest.raises(ChampionMovedError, match="the champion moved 5 times"):
        steps.promote(context, second.plan, third, always_stale(), FORCED)
    assert len(asked) == 1 + promote_step.JUDGEMENTS
    assert context.registry.champion.current() == second.challenger


def test_roll_back_goes_along_the_promotions_that_really_happened(context: StepContext) -> None:
    """Any number of steps, what was rolled back before is passed over, a repeat moves nothing."""
    one, two, three = (each.challenger.version for each in promoted(context, 3))
    for _ in range(2):
        moved = steps.roll_back(context, back("run 1"))
        assert (moved.kind, moved.before, moved.version) == (MoveKind.ROLL_BACK, three, two)
        assert champions(context) == [one, two, three, two]
    aliases = mlflow.MlflowClient().get_registered_model(context.spec.model).aliases
    named = {alias: str(version) for alias, version in aliases.items()}
    assert named == {"champion": two, "previous_champion": three}
    drop(context, pulsar_rows(200, seed=9), "more.csv")
    four = run(context, FORCED).challenger.version
    assert steps.roll_back(context, back("run 2", 2)).version == one
    assert champions(context) == [one, two, three, two, four, one]
    with pytest.raises(RollBackError, match=f"no going back 1: .* are {one}, the newest last"):
        steps.roll_back(context, back("run 3"))
    assert (
        steps.roll_back(context, back("run 1")).version == two
    )  # a retry of the first, much later
    assert champions(context)[-1] == one


def test_each_move_says_by_whom_and_why(context: StepContext) -> None:
    """The log names the run and its decision, or the person and the reason."""
    first, _ = promoted(context, 2)
    steps.roll_back(context, back("run 1"))
    promotion, _, rolled_back = context.registry.champion.moves()
    assert promotion.by == first.plan.run_id
    assert promotion.reason == first.decision.reason
    assert (rolled_back.by, rolled_back.reason) == ("Ada", "it calls everything positive")
    assert promotion.at < rolled_back.at


def test_a_rolled_back_model_is_barred_until_a_row_is_new(context: StepContext) -> None:
    """Training again on the same data says so in its scores; on new data it does not."""
    _, second = promoted(context, 2)
    assert second.scores.barred == ""
    steps.roll_back(context, back("run 1"))
    barred = leak_proof_step.why_barred(context, second.plan)
    assert f"version {second.challenger.version} was rolled back on 20" in barred
    assert "(it calls everything positive), and no row is new since data version 1" in barred
    again = run(context, Form(no_new_data=NoNewData.RETRAIN))
    assert again.scores.barred == barred
    assert mlflow.get_run(again.plan.run_id).data.tags["ratchet.barred"] == barred
    drop(context, pulsar_rows(100, seed=9), "more.csv")
    assert run(context).scores.barred == ""


def test_both_contenders_prove_what_they_were_fitted_on(context: StepContext) -> None:
    """The keys of their train rows are counted and held against the holdout, for both anew."""
    first, second = promoted(context, 2)
    for done in (first, second):
        assert all(proof.holds for proof in done.scores.proofs)
    challenger, champion = second.scores.proofs
    assert challenger.model_version == second.challenger.version
    assert challenger.fitted_rows == sum(second.plan.dataset.train.values())
    assert champion.model_version == first.challenger.version
    assert champion.fitted_rows == sum(first.plan.dataset.train.values())
    record = mlflow.get_run(second.plan.run_id).data
    assert record.metrics["champion_shared_rows"] == 0
    assert "0 holdout rows are among" in record.tags["ratchet.challenger_proof"]


def leaked(context: StepContext) -> None:
    """Commit holdout rows once more, on the train side, as no step would."""
    held = rows(context).filter(side="holdout").drop("batch").head(7)
    context.lake.commit(
        "leak", [held.with_columns(side=held["side"].str.replace("holdout", "train"))], 0
    )


def vanished(context: StepContext) -> None:
    """Take away what the data version of the model consists of."""
    for path in context.settings.home.glob("lake/*/rows/side=train/**/*.parquet"):
        path.unlink()


SPOILT: dict[str, tuple[Callable[[StepContext], None] | None, dict[str, Any], str]] = {
    "nothing": (None, {}, ""),
    "another version in the registry": (None, {"data_version": 5}, "its own bundle says 0"),
    "another table": (None, {"table": "another"}, "holds another table than the one"),
    "files that are gone": (vanished, {}, "version 0 of the table, which it was .* cannot be read"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_without_a_proof_the_scores_say_why(context: StepContext, case: str) -> None:
    """A word that is contradicted, a table that was replaced, a version that is gone."""
    spoil, changes, sentence = SPOILT[case]
    drop(context, ROWS)
    done = run(context)
    if spoil:
        spoil(context)
    manifest = context.registry.versions.bundle(done.challenger).manifest
    version = replace(done.challenger, **changes)
    proof = leak_proof_step.proof(
        context, done.plan, version, manifest, leak_proof_step.HoldoutRows()
    )
    assert proof.holds == (not sentence)
    assert re.search(sentence, proof.problem)


def test_rows_on_both_sides_are_counted(context: StepContext) -> None:
    """A model that was fitted on holdout rows has no proof, and the number says how many."""
    drop(context, ROWS)
    done = run(context)
    leaked(context)
    dataset = context.lake.dataset()
    assert dataset is not None
    shared = partial(context.lake.keys.shared, keyed=keyed_by(context))
    assert shared(0, dataset.version) == (
        sum(done.plan.dataset.train.values()),
        0,
    )
    assert shared(1, dataset.version)[1] == 7


def test_looks_count_the_challengers_that_this_holdout_has_judged(context: StepContext) -> None:
    """Each run that decided since the holdout doubled counts; a repeat of the own does not."""
    drop(context, ROWS[:200])
    runs = [run(context)] + [run(context, Form(no_new_data=NoNewData.RETRAIN)) for _ in range(2)]
    assert [done.scores.looks for done in runs] == [0, 1, 2]
    assert steps.score(context, runs[1].plan, runs[1].challenger).looks == 2
    drop(context, ROWS[200:], "more.csv")
    assert run(context).scores.looks == 0
    assert mlflow.get_run(runs[2].plan.run_id).data.metrics["looks"] == 2


ANSWERS = {
    "approved": (YES, Verdict.PROMOTE, "; approved by Ada at 2026-05-04T03:02:01+00:00"),
    "refused": (NO, Verdict.HOLD, "refused by Ada at 2026-05-04T03:02:01+00:00, although the"),
    "never asked": (None, Verdict.HOLD, "held because the spec asks for an approval and nobody"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_approval_is_written_into_the_decision(asking: StepContext, case: str) -> None:
    """Only with a yes the champion moves; who said what and when is part of the reason."""
    answer, verdict, words = ANSWERS[case]
    done = run(replace(asking, spec=asking.spec), Form(note="before the answer"))
    assert done.decision.verdict is Verdict.HOLD
    assert steps.decide(asking, done.scores, Form()).verdict is Verdict.PROMOTE
    decision = steps.promote(asking, done.plan, done.challenger, done.scores, Form(), answer)
    assert decision.verdict is verdict
    assert words in decision.reason
    assert mlflow.get_run(done.plan.run_id).data.tags["mlflow.note.content"] == decision.reason
    assert (asking.registry.champion.current() is not None) == (verdict is Verdict.PROMOTE)


def test_an_approval_does_not_hold_for_another_champion(asking: StepContext) -> None:
    """Who approved saw a comparison with a champion that is gone; a person has to look again."""
    unasked = replace(
        asking, spec=asking.spec.model_copy(update={"gate": type(asking.spec.gate)()})
    )
    first = run(unasked)
    second = run(asking, FORCED)
    steps.promote(asking, second.plan, second.challenger, second.scores, FORCED, YES)
    third = run(asking, FORCED)
    rival = third.scores.opponent
    assert isinstance(rival, Rival)
    earlier = replace(rival, card=first.scores.challenger)
    stale = replace(third.scores, opponent=earlier)
    with pytest.raises(ChampionMovedError, match="clear the score task"):
        steps.promote(asking, third.plan, third.challenger, stale, FORCED, YES)
    assert asking.registry.champion.current() == second.challenger
