"""A run told in sentences: its verdict first, whole, and within what a note holds."""

from hypothesis import given
from hypothesis import strategies as st

from include.records.data import Batch, Fate
from include.records.judging import Scores
from include.records.models import ServedVersion
from include.records.refusal_reasons import ReasonKind
from include.records.training import Form
from include.reports.account import Account, Failure, RunSentences, delivery_sentence
from include.reports.run_report import NOTE, bounded_markdown, report
from include.spec.model_spec import Gate
from include.stages.decide import decide
from tests.unit.test_page import SCORES

BATCH = Batch(
    "d",
    "march.csv",
    read=2000,
    refused=40,
    reasons={"not a number": 30, ReasonKind.CONFLICT: 3, "unknown label": 7},
    duplicates=10,
    new=1950,
)
BAD = Batch("e", "bad.csv", note="file refused, kept as /q/e/bad.csv: no target", fate=Fate.REFUSED)
DECIDED = decide(SCORES, Form(), Gate())
REST = "the log of the task report"


def sentences(**known: object) -> tuple[str, ...]:
    """Return the sentences of a run that left so much behind."""
    return report(Account(**known)).sentences  # type: ignore[arg-type]


def test_a_delivery_is_told_with_all_its_counts() -> None:
    """Rows in, new, duplicate, in conflict and refused."""
    assert delivery_sentence(BATCH) == (
        "march.csv: 2,000 rows in, 1,950 new, 10 duplicate, 3 in conflict, 37 refused."
    )
    assert "not committed yet" in delivery_sentence(BATCH, settled=False)
    assert delivery_sentence(BAD) == "bad.csv: file refused, kept as /q/e/bad.csv: no target."


def test_a_decided_run_begins_with_verdict_score_and_version() -> None:
    """The first line of a note is what a list of runs shows."""
    served = ServedVersion("pulsars", "2", 20, 1.0)
    first, *rest = sentences(batches=(BATCH,), is_settled=True, decision=DECIDED, served=served)
    mine, theirs = SCORES.challenger.figures["f1"], SCORES.champion
    assert theirs is not None
    assert first == (
        f"PROMOTE, F1 {mine:.4f}, version 2 "
        f"(champion before: F1 {theirs.figures['f1']:.4f}, version 1)."
    )
    assert any(DECIDED.reason in sentence for sentence in rest)
    assert delivery_sentence(BATCH) in rest
    assert any("pulsars version 2 answers" in sentence for sentence in rest)


def test_a_first_model_has_nobody_beside_it() -> None:
    """The verdict says that there was no champion."""
    alone = decide(Scores(SCORES.challenger), Form(), Gate())
    assert sentences(decision=alone)[0].endswith("version 2, no champion before.")


def test_a_refused_delivery_stands_in_the_first_line_and_is_told_whole() -> None:
    """Whatever else became of the run, with the good file behind it."""
    first, *rest = sentences(batches=(BATCH, BAD), is_settled=True, decision=DECIDED)
    assert first.endswith("; 1 delivery refused.")
    assert rest.index(delivery_sentence(BAD)) < rest.index(delivery_sentence(BATCH))


def test_a_run_without_a_delivery_says_so() -> None:
    """Nothing came, and why nothing was trained."""
    told_of = sentences(batches=(), is_settled=True, skipped_because="no row has ever landed")
    assert told_of[0] == "SKIPPED."
    assert "Nothing was trained: no row has ever landed." in told_of
    assert "Nothing was waiting in the landing place." in told_of


def test_a_failed_run_names_the_task_and_its_reason() -> None:
    """A process that was killed left no reason, which is said."""
    failures = (Failure("fit", "the disk is full"), Failure("screen", ""))
    first, *rest = sentences(batches=(BATCH,), failures=failures)
    assert first == "FAILED in fit, screen."
    assert rest[0] == "fit failed: the disk is full."
    assert rest[1].startswith("screen failed: its process ended without a word")
    assert any("not committed yet" in sentence for sentence in rest)


def test_a_failure_after_the_decision_keeps_the_decision() -> None:
    """The champion may have moved before its serving failed."""
    first = sentences(decision=DECIDED, failures=(Failure("serve", "no replica answers"),))[0]
    assert first.startswith("FAILED in serve, after PROMOTE, F1 ")


def test_a_run_that_a_person_stopped_says_what_waits() -> None:
    """Until its rows are committed its files wait for that person's word."""
    first, *rest = sentences(batches=(BATCH,), stopped_as="failed")
    assert first == "STOPPED by a person, who set it to failed."
    assert rest[0].startswith("What this run was to take in waits: trigger the Dag by hand")
    assert rest[0].endswith("or drop the file again.")  # another file would not bring it along
    later = sentences(batches=(BATCH,), is_settled=True, stopped_as="success")
    assert not any("waits" in sentence for sentence in later)


def test_warnings_are_told_once() -> None:
    """What was warned of twice, or is part of another sentence, is one sentence."""
    warned = (
        delivery_sentence(BATCH),
        "The experiment was restored",
        "The experiment was restored",
    )
    told_of = sentences(batches=(BATCH,), is_settled=True, warnings=warned)
    assert told_of.count(delivery_sentence(BATCH)) == 1
    assert told_of.count("The experiment was restored.") == 1
    skipped = f"no row is new. {delivery_sentence(BAD)} Trigger it"
    assert delivery_sentence(BAD) not in sentences(
        batches=(BAD,), is_settled=True, skipped_because=skipped
    )


def test_a_note_shows_what_a_file_name_says_and_runs_none_of_it() -> None:
    """No name makes a link, a picture or a tag, or a line of its own."""
    text = bounded_markdown(
        RunSentences(("SKIPPED.", "![x](http://x/y) <img src=x>\n# Big.")), NOTE, REST
    )
    assert text == "SKIPPED.\n\n- !\\[x](http://x/y) \\<img src=x> # Big."


def test_one_sentence_that_does_not_fit_is_counted() -> None:
    """The shorter ones behind it still stand there."""
    text = bounded_markdown(RunSentences(("HOLD.", "a" * 2000 + ".", "Short.")), NOTE, REST)
    assert text == f"HOLD.\n\n- Short.\n- 1 more sentence is in {REST}."


SENTENCE = st.text("ab [<\n", min_size=1, max_size=400).map(lambda text: f"{text.strip()}.")


@given(st.lists(SENTENCE, max_size=30), st.integers(200, NOTE))
def test_a_note_never_cuts_a_sentence_nor_loses_one_unsaid(said: list[str], longest: int) -> None:
    """Each stands there whole or is counted, and the whole fits."""
    text = bounded_markdown(RunSentences(("HOLD, F1 0.9000, version 7.", *said)), longest, REST)
    assert len(text) <= longest
    verdict, *lines = text.split("\n- ")
    assert verdict.strip() == "HOLD, F1 0.9000, version 7."
    whole = {
        bounded_markdown(RunSentences(("x", one)), 10_000, REST).partition("\n- ")[2]
        for one in said
    }
    left_out = 0
    if lines and lines[-1].endswith(f" in {REST}."):
        left_out = int(lines.pop().partition(" ")[0])
    assert set(lines) <= whole
    assert len(lines) + left_out == len(said)
