"""The leaderboard as people read it: one headed list, a line a candidate.

F1 stands in two columns, because a threshold that is tuned to the rows it is judged on flatters
every candidate, and each by another amount. Only who ran over all rows has the first one.
"""

from collections.abc import Iterator, Sequence

from include.records.training import Trial

_HEAD = f"{'':>3}  {'F1 as served':>12}  {'F1 at best':>10}  {'rows':>9}  candidate"


def listed(trials: Sequence[Trial], outcome: str) -> Iterator[str]:
    """Yield the lines of trials in their order; `outcome` is that of who is not out, in a word."""
    yield _HEAD
    for place, one in enumerate(trials, 1):
        best = one.f1 if one.best_f1 is None else one.best_f1
        served = _figure(one.f1) if one.best_f1 is not None else "-"
        shown = ("-", "-") if one.failure or not one.rows else (served, _figure(best))
        yield (
            f"{place:>2}.  {shown[0]:>12}  {shown[1]:>10}  {one.rows:>9,}  "
            f"{one.candidate.title}: {became(one) or outcome}"
        )


def became(trial: Trial) -> str:
    """Return why a candidate is out of the race, empty while it is in."""
    if trial.ended_early is not None or not trial.failure:
        return trial.failure or trial.left
    return f"failed: {' '.join(trial.failure.split())}"


def _figure(f1: float) -> str:
    return f"{f1:.4f}"
