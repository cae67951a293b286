"""The leaderboard as text: one header, a line for each candidate.

The metric has two columns, because a threshold that was tuned on the rows it is judged on flatters
every candidate, each by another amount. Only candidates that ran over all rows have the first
figure.
"""

from collections.abc import Iterator, Sequence

from include.metrics import Metric
from include.records.training import Trial


def leaderboard_lines(trials: Sequence[Trial], outcome: str, metric: Metric) -> Iterator[str]:
    """Yield the lines of trials in their order.

    `outcome` is the text for the candidates that were not eliminated.
    """
    heads = (f"{metric.title} as served", f"{metric.title} at best")
    wide = (max(12, len(heads[0])), max(10, len(heads[1])))
    yield f"{'':>3}  {heads[0]:>{wide[0]}}  {heads[1]:>{wide[1]}}  {'rows':>9}  candidate"
    for place, trial in enumerate(trials, 1):
        best = trial.value if trial.best_value is None else trial.best_value
        served = metric.written(trial.value) if trial.best_value is not None else "-"
        shown = ("-", "-") if trial.failure or not trial.rows else (served, metric.written(best))
        yield (
            f"{place:>2}.  {shown[0]:>{wide[0]}}  {shown[1]:>{wide[1]}}  {trial.rows:>9,}  "
            f"{trial.candidate.title}: {reason_out(trial) or outcome}"
        )


def reason_out(trial: Trial) -> str:
    """Return why a candidate is out of the race; empty while it is in."""
    if trial.ended_early is not None or not trial.failure:
        return trial.failure or trial.left
    return f"failed: {' '.join(trial.failure.split())}"
