"""Reports a run in sentences: its verdict, its deliveries, the decision and the reasons.

Airflow's note of a run and MLflow's description have a limited length: sentences that do not fit
are left out whole, never cut, and counted.
"""

from collections.abc import Iterator, Sequence

from include.metrics import objective
from include.records.data import Batch, Fate
from include.records.judging import Decision, Verdict
from include.reports.account import Account, RunSentences, as_sentence, delivery_sentence

NOTE = 1_000
"""Characters of a note in Airflow's database."""
_MARKUP = {"[": r"\[", "<": r"\<"}
"""Characters with which a file name or a header could make a link, a picture or a tag."""


def report(account: Account) -> RunSentences:
    """Return the sentences of a run; the first is its verdict in a few words.

    Then come failures, the reasons of the decision, the deliveries and other warnings. A sentence
    that another one contains is left out.
    """
    first = _verdict(account)
    sentences = list(
        dict.fromkeys(as_sentence(sentence) for sentence in _sentences(account) if sentence.strip())
    )
    return RunSentences(
        (first, *(sentence for sentence in sentences if not _is_within(sentence, sentences)))
    )


def bounded_markdown(story: RunSentences, longest: int, rest: str) -> str:
    """Return a run's sentences as Markdown of at most `longest` characters.

    `rest` says where to read the sentences that do not fit.
    """
    verdict, *others = (_plain(sentence) for sentence in story.sentences)
    reserved = len(f"\\n- 999,999 more sentences are in {rest}.")
    text, left_out = f"{verdict}\n", 0
    for number, sentence in enumerate(others):
        line = f"\n- {sentence}"
        is_last = number == len(others) - 1 and not left_out
        if len(text) + len(line) + (0 if is_last else reserved) <= longest:
            text += line
        else:
            left_out += 1
    if left_out:
        these = "1 more sentence is" if left_out == 1 else f"{left_out:,} more sentences are"
        text += f"\n- {these} in {rest}."
    return text.strip()


def _plain(sentence: str) -> str:
    """Return a sentence on one line, escaped so that Markdown shows it as it is."""
    line = " ".join(sentence.split())
    for mark, shown in _MARKUP.items():
        line = line.replace(mark, shown)
    return line


def _verdict(account: Account) -> str:
    words = [_outcome(account)]
    if refused := sum(batch.fate is Fate.REFUSED for batch in account.batches or ()):
        words.append("1 delivery refused" if refused == 1 else f"{refused:,} deliveries refused")
    return as_sentence("; ".join(words))


def _outcome(account: Account) -> str:
    decided = _decided(account.decision) if account.decision else ""
    if account.stopped_as:
        return f"STOPPED by a person, who set it to {account.stopped_as}"
    if account.failures:
        tasks = ", ".join(dict.fromkeys(failure.task for failure in account.failures))
        return f"FAILED in {tasks}" + (f", after {decided}" if decided else "")
    if account.move:
        return f"ROLLED BACK from version {account.move.before} to {account.move.version}"
    if decided:
        return decided
    return "SKIPPED" if account.skipped_because else "ENDED without a decision"


def _decided(decision: Decision) -> str:
    mine, theirs = decision.scores.challenger, decision.scores.champion
    metric = objective(decision.scores.metric)
    value = metric.written(mine.value(metric))
    words = f"{decision.verdict}, {metric.title} {value}, version {mine.model_version}"
    if theirs is None:
        return f"{words}, no champion before"
    who = "champion before" if decision.verdict is Verdict.PROMOTE else "champion"
    other = metric.written(theirs.value(metric))
    return f"{words} ({who}: {metric.title} {other}, version {theirs.model_version})"


def _sentences(account: Account) -> Iterator[str]:
    if account.stopped_as and not account.is_settled:
        yield (
            "What this run was to take in waits: trigger the Dag by hand to take it in, or drop "
            "the file again"
        )
    for failure in account.failures:
        ended = "its process ended without a word, as when it is killed; its log is all there is"
        yield f"{failure.task} failed: {failure.reason or ended}"
    if account.skipped_because:
        yield f"Nothing was trained: {account.skipped_because}"
    if account.decision:
        yield f"Decided {account.decision.verdict} because {account.decision.reason}"
    if account.move:
        yield f"Rolled back because {account.move.reason}"
    yield from _arrived(account, [b for b in account.batches or () if b.fate is Fate.REFUSED])
    yield from account.warnings
    yield from _arrived(account, [b for b in account.batches or () if b.fate is not Fate.REFUSED])
    if account.batches == ():
        yield "Nothing was waiting in the landing place."
    if account.served:
        served = account.served
        yield (
            f"{served.model} version {served.version} answers as the pipeline does, asked with "
            f"{served.rows_checked:,} rows"
        )


def _arrived(account: Account, batches: Sequence[Batch]) -> Iterator[str]:
    for batch in batches:
        yield delivery_sentence(batch, settled=account.is_settled)


def _is_within(sentence: str, said: Sequence[str]) -> bool:
    return any(sentence != other and sentence in other for other in said)
