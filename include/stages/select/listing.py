"""The leaderboard as text: one header, a line for each candidate.

F1 has two columns, because a threshold that was tuned on the rows it is judged on flatters every
candidate, each by another amount. Only candidates that ran over all rows have the first figure.
"""

from collections.abc import Iterator, Sequence

from include.records.training import Trial

_HEAD = f"{'':>3}  {'F1 as served':>12}  {'F1 at best':>10}  {'rows':>9}  candidate"


def leaderboard_lines(trials: Sequence[Trial], outcome: str) -> Iterator[str]:
    """Yield the lines of trials in their order.

    `outcome` is the text for the candidates that were not eliminated.
    """
    yield _HEAD
    for place, trial in enumerate(trials, 1):
        best = trial.f1 if trial.best_f1 is None else trial.best_f1
        served = _figure(trial.f1) if trial.best_f1 is not None else "-"
        shown = ("-", "-") if trial.failure or not trial.rows else (served, _figure(best))
        yield (
            f"{place:>2}.  {shown[0]:>12}  {shown[1]:>10}  {trial.rows:>9,}  "
            f"{trial.candidate.title}: {reason_out(trial) or outcome}"
        )


def reason_out(trial: Trial) -> str:
    """Return why a candidate is out of the race; empty while it is in."""
    if trial.ended_early is not None or not trial.failure:
        return trial.failure or trial.left
    return f"failed: {' '.join(trial.failure.split())}"


def _figure(f1: float) -> str:
    return f"{f1:.4f}"
