"""An Airflow plugin that writes the note of each Dag run when the run has ended, in any way.

A note can be written only by a process with access to Airflow's database: the scheduler, or the API
server when a person sets a run's state. Both call the listeners of plugins; tasks cannot. The text
is that of the task `report`, or is built here for a run that did not reach that task.

The note is written in the caller's transaction: nothing is committed here, and nothing is written
that a database column could refuse.
"""

from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

TAGS = {"ratchet", "broken spec"}
AUTHOR = "ratchet"
BY_HAND = "\n\n---\n"
"""The line between Ratchet's text and the text of a person who has written into the note."""


class RunListener:
    """A listener that Airflow calls when a run has ended."""

    @hookimpl
    def on_dag_run_success(self, dag_run: Any) -> None:
        """Write the note of a run that ended well, or was set to success by a person."""
        write_note(dag_run)

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any) -> None:
        """Write the note of a run that failed, or was set to failed by a person."""
        write_note(dag_run)


class RunNotes(AirflowPlugin):
    """The plugin that registers the listener."""

    name = "ratchet_run_notes"
    listeners = [RunListener()]  # noqa: RUF012 - the name and the kind are Airflow's


def write_note(dag_run: Any) -> None:
    """Write or replace the note of a run of Ratchet's Dags; a person's own text is kept."""
    from sqlalchemy.orm import object_session

    from include.reports import run_report

    session = object_session(dag_run)
    if session is None or dag_run.dag is None or TAGS.isdisjoint(dag_run.dag.tags):
        return
    with session.no_autoflush:
        told = _told(dag_run, session)
    theirs = _by_hand(dag_run.dag_run_note)
    room = run_report.NOTE - len(theirs)
    if room < run_report.NOTE // 3:  # a person's long note stays as it is
        return
    text = (
        run_report.bounded_markdown(
            told, room, "the log of the task report, or in those of the tasks"
        )
        + theirs
    )
    if dag_run.dag_run_note is None:
        dag_run.note = (text, AUTHOR)
    else:
        dag_run.dag_run_note.content = text


def _by_hand(note: Any) -> str:
    """Return the text of a person in a note, with the line above it; empty without any."""
    if note is None or not note.content:
        return ""
    _, line, theirs = note.content.rpartition(BY_HAND)
    if line:
        return f"{BY_HAND}{theirs}"
    return "" if note.user_id == AUTHOR else f"{BY_HAND}{note.content}"


def _told(dag_run: Any, session: Any) -> Any:
    import run_account
    from run_account import REPORT

    from include.reports import run_report
    from include.reports.account import RunSentences

    tasks = dag_run.get_task_instances(session=session)
    leaves = {task.task_id for task in dag_run.dag.tasks if not task.downstream_task_ids}
    stopped = any(task.task_id in leaves and task.state == "skipped" for task in tasks)
    traces = _traces(dag_run, session)
    traces.failed += [task.task_id for task in tasks if task.state == "failed" and not stopped]
    reported = traces.results.pop(REPORT, None)
    if reported and not stopped:
        # It cannot tell of itself that MLflow did not take the sentences.
        of_itself = run_account.warnings({REPORT: traces.words.get(REPORT, [])})
        return RunSentences((*reported["sentences"], *of_itself))
    return run_report.report(run_account.account(traces, str(dag_run.state) if stopped else ""))


def _traces(dag_run: Any, session: Any) -> Any:
    import run_account
    import sqlalchemy as sa
    from airflow.models.xcom import XComModel

    of_interest = (*run_account.RESULTS, run_account.REPORT)
    is_result = sa.and_(XComModel.key == "return_value", XComModel.task_id.in_(of_interest))
    found = session.execute(
        sa.select(XComModel.task_id, XComModel.key, XComModel.value)
        .where(XComModel.dag_id == dag_run.dag_id, XComModel.run_id == dag_run.run_id)
        .where(sa.or_(is_result, XComModel.key == run_account.WORDS))
        .order_by(XComModel.timestamp)
    )
    traces = run_account.Traces()
    for row in found:
        value = XComModel.deserialize_value(row)
        if row.key == run_account.WORDS:
            traces.words.setdefault(row.task_id, []).append(value)
        else:
            traces.results[row.task_id] = value
    return traces
