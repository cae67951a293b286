"""The words and tables of the demo."""

from typing import Any

from rich.box import SIMPLE
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from demo.airflow_api import Task
from demo.follow import Followed
from include.metrics import FIRST_OBJECTIVE, objective

METRIC = objective(FIRST_OBJECTIVE)
"""What the specs of the demo decide by."""


class Teller:
    """Tells a run task by task, each with the numbers it produced."""

    def __init__(self, console: Console, since: float) -> None:
        """`since` is when the file was there, in seconds since the epoch."""
        self._console = console
        self._since = since

    def tell(self, task: Task, result: Any) -> None:
        """Print one finished task."""
        if task.state in {"skipped", "upstream_failed", "removed"}:
            return
        at = (task.ended or self._since) - self._since
        words = _WORDS.get(task.name, _nothing)(result) if result is not None else ""
        state = "" if task.state == "success" else f" [red]{task.state}[/red]"
        self._console.print(
            f"  {at:6.1f} s  [cyan]{escape(task.label)}[/cyan]{state}  {escape(words)}",
            highlight=False,
            soft_wrap=True,
        )


def leaderboard(screened: list[list[dict[str, Any]] | None]) -> Table:
    """Return the table of all candidates, best first; a family whose task failed has none."""
    listed = (trial for family in screened for trial in family or [])
    trials = sorted(listed, key=lambda trial: (bool(trial["failure"]), -_merit(trial)))
    names = ("", METRIC.title, "rows", "s", "candidate", "")
    table = Table(*names, title="Screening, on a part of the rows", title_justify="left")
    for place, trial in enumerate(trials, 1):
        value = "-" if trial["failure"] else METRIC.written(trial["value"])
        why = " ".join(trial["failure"].split())
        table.add_row(
            str(place), value, f"{trial['rows']:,}", _tenths(trial), title(trial), escape(why)
        )
    return table


def summary(stories: list[tuple[str, Followed]]) -> Group:
    """Return the tables of all deliveries: rows, winner, decision and where the time went."""
    rows = Table("delivery", "rows in", "new", "duplicate", "quarantined", box=SIMPLE)
    models = Table("delivery", "decision", "winner", METRIC.title, "champion's", box=SIMPLE)
    times = Table("delivery", "drop to served", "in the steps", "Airflow adds", box=SIMPLE)
    for name, run in stories:
        batch = _batch(run)
        counts = (batch[key] for key in ("read", "new", "duplicates", "refused"))
        rows.add_row(name, *(f"{count:,}" for count in counts))
        models.add_row(name, *_outcome(run))
        spent = (run.wall_seconds, run.inside_seconds, run.airflow_seconds)
        times.add_row(name, *(f"{seconds:.1f} s" for seconds in spent))
    return Group(rows, models, times)


def title(trial: dict[str, Any]) -> str:
    """Name a candidate as the leaderboard in MLflow does."""
    params = trial["candidate"]["params"].items()
    listed = ", ".join(f"{name.split('__')[-1]}={value}" for name, value in params)
    return f"{trial['candidate']['family']}({listed})"


def _outcome(run: Followed) -> tuple[str, str, str, str]:
    decision = run.results.get("promote")
    if not decision:
        return "skipped" if run.skipped_because else run.state, "-", "-", "-"
    scores = decision["scores"]
    champion = scores["champion"]
    return (
        decision["verdict"],
        run.results["fit"]["family"],
        _written(scores["challenger"]),
        _written(champion) if champion else "-",
    )


def _merit(trial: dict[str, Any]) -> float:
    return float(METRIC.merit(trial["value"]))


def _written(card: dict[str, Any]) -> str:
    return METRIC.written(card[METRIC.name])


def _batch(run: Followed) -> dict[str, Any]:
    empty = {"read": 0, "new": 0, "duplicates": 0, "refused": 0}
    intake = run.results.get("data.split") or {"batches": []}
    return intake["batches"][0] if intake["batches"] else empty


def _ingest(batches: Any) -> str:
    rows = ((batch, f"{batch['read']:,} rows in") for batch in batches)
    return "; ".join(f"{batch['name']}: {batch['note'] or read}" for batch, read in rows)


def _dedup(batches: Any) -> str:
    return "; ".join(
        f"{batch['new']:,} new, {batch['duplicates']:,} duplicate, "
        f"{batch['refused']:,} in quarantine {_reasons(batch)}"
        for batch in batches
        if not batch["note"]
    )


def _reasons(batch: dict[str, Any]) -> str:
    listed = ", ".join(f"{count} {reason}" for reason, count in batch["reasons"].items())
    return f"({listed})" if listed else ""


def _split(intake: Any) -> str:
    dataset = intake["dataset"]
    if not dataset:
        return "nothing was ever committed"
    train, holdout = sum(dataset["train"].values()), sum(dataset["holdout"].values())
    return f"data version {dataset['version']}: {train:,} train, {holdout:,} holdout"


def _plan(planned: Any) -> str:
    rows = sum(planned["dataset"]["train"].values())
    return f"MLflow run {planned['run_id'][:8]}, a race over {rows:,} train rows"


def _screen(trials: Any) -> str:
    best = max(trials, key=_merit)
    return f"{METRIC.title} {METRIC.written(best['value'])} {title(best)}"


def _heats(heats: Any) -> str:
    if not heats:
        return "no semifinal: the rows are few"
    families: dict[str, int] = {}
    for one in {str(one): one for heat in heats for one in heat["candidates"]}.values():
        families[one["family"]] = families.get(one["family"], 0) + 1
    return "go on: " + ", ".join(f"{count} of {name}" for name, count in families.items())


def _heat(heat: Any) -> str:
    folds = ", ".join(str(fold) for fold in heat["folds"])
    return f"{len(heat['candidates'])} candidates over fold {folds} of {heat['rows']:,} rows"


def _fit(version: Any) -> str:
    return f"{version['family']} won: model version {version['version']} of {version['name']}"


def _score(scores: Any) -> str:
    champion = scores["champion"]
    other = f", champion {_written(champion)}" if champion else ", no champion yet"
    return f"holdout {METRIC.title}: challenger {_written(scores['challenger'])}{other}"


def _preflight(preflight_result: Any) -> str:
    return str(preflight_result["sentence"])


def _promote(decision: Any) -> str:
    return f"{decision['verdict']}: {decision['reason']}"


def _serve(served: Any) -> str:
    return f"{served['model']} version {served['version']} answers as the pipeline does"


def _nothing(_result: Any) -> str:
    return ""


def _tenths(trial: dict[str, Any]) -> str:
    return f"{trial['seconds']:.1f}"


_WORDS = {
    "data.ingest": _ingest,
    "data.dedup": _dedup,
    "data.split": _split,
    "plan": _plan,
    "select.screen": _screen,
    "select.shortlist": _heats,
    "select.semifinal": _heat,
    "select.finalists": _heats,
    "select.final": _heat,
    "fit": _fit,
    "score": _score,
    "decide": _promote,
    "preflight": _preflight,
    "promote": _promote,
    "serve": _serve,
}
