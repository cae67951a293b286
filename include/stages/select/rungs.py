"""Results of the race: the parts it runs over, the shared fits' results, and who is eliminated."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from include.problems import Criterion
from include.records.arrays import FitOutcome, Labels
from include.records.training import FitJob, Trial
from include.spec.model_spec import Selection, Strategy
from include.stages.select.shared_fits import SharedFit
from include.stages.select.verdicts import (
    CandidateResult,
    FoldSize,
    OutOfFold,
    gap_between,
    gap_on_all,
    judge,
    why_beaten,
)

SHORT_SECONDS = 10.0
"""A family that takes longer gets a task for each fold."""
LEAST_STEP = 2
"""A smaller part is run only where all rows are more than this many times its rows."""
EliminationReasons = Mapping[str, str]
"""Why a shared fit is eliminated, by its key; a shared fit that is not in it stays."""


@dataclass(frozen=True)
class SharedFitResult:
    """The results of a shared fit over some folds of a cut."""

    shared_fit: SharedFit
    results: tuple[CandidateResult, ...]
    """Those of the candidates that could be judged, the best first."""
    unfit: tuple[Trial, ...]
    """Those of the candidates that failed or stopped early."""

    @property
    def best(self) -> CandidateResult:
        """The best candidate's result; IndexError when no candidate could be judged."""
        return self.results[0]

    def trials(self, left: str = "") -> list[Trial]:
        """Return a leaderboard line for each candidate; `left` is why it is eliminated."""
        return [*(replace(result.trial, left=left) for result in self.results), *self.unfit]


@dataclass(frozen=True)
class Rung:
    """A number of train rows, cut into all folds, and the folds that are run."""

    rows: int
    folds: tuple[int, ...]


@dataclass(frozen=True)
class Rungs:
    """The parts that a race runs over, in order."""

    screening: tuple[Rung, ...]
    """Every candidate runs on these."""
    semifinal: Rung | None
    """The candidates that are left run on this; None where it would save hardly any time."""
    final: Rung
    """All rows and all folds."""


def rungs(rows: int, rule: Selection) -> Rungs:
    """Return the parts of a race over so many train rows.

    Screening has two sizes, to see which candidates gain from more rows. The semifinal is the
    geometric mean of the larger size and all rows.

    Example with 5 folds and 5,000 screened rows: 80,000 rows are screened on 1,250 and on 5,000
    rows (fold 0), the semifinal is sqrt(5,000 * 80,000) = 20,000 rows (folds 0 and 1), the final
    all rows and folds. 9,000 rows are screened on 5,000 and have no semifinal.
    """
    final = Rung(rows, tuple(range(rule.folds)))
    if rule.strategy is Strategy.EXHAUSTIVE:
        return Rungs((), None, final)
    first = min(rows, rule.screened_rows)
    if rows <= LEAST_STEP * first:
        return Rungs((Rung(first, (0,)),), None, final)
    screening = (Rung(first // 4, (0,)), Rung(first, (0,)))
    return Rungs(screening, Rung(round(math.sqrt(first * rows)), (0, 1)), final)


def judge_shared_fit(
    shared_fit: SharedFit,
    fold_size: FoldSize,
    labels: Sequence[Labels],
    outcomes: Sequence[FitOutcome],
    criterion: Criterion,
) -> SharedFitResult:
    """Judge a shared fit's candidates by the labels and the outcome of each fold."""
    seconds = sum(outcome.seconds for outcome in outcomes)
    results, unfit = [], []
    for place, candidate in enumerate(shared_fit.candidates):
        failure = next((outcome.failure for outcome in outcomes if outcome.failure), "")
        ended = None if failure else _ended_early(outcomes, place)
        if ended is not None:
            failure = f"ended early at size {ended}, for the validation rows gained nothing more"
        if failure:
            unjudged = Trial(candidate, fold_size.rows, 0.0, (), 0.5, seconds, failure=failure)
            unfit.append(replace(unjudged, ended_early=ended))
        else:
            probabilities = [outcome.probability[place] for outcome in outcomes]
            answers = OutOfFold(labels, probabilities, seconds)
            results.append(judge(candidate, fold_size, answers, criterion))
    return SharedFitResult(shared_fit, tuple(best_first(results)), tuple(unfit))


def best_first(results: Iterable[CandidateResult]) -> list[CandidateResult]:
    """Return results, the best first; equal ones are ordered by the candidate's title."""
    return sorted(results, key=lambda result: (-result.merit, result.trial.candidate.title))


def reasons_against(
    now: Sequence[SharedFitResult], before: Sequence[SharedFitResult], all_rows: int, most: int
) -> EliminationReasons:
    """Return why shared fits are eliminated: those clearly beaten, and those beyond `most`.

    `now` are shared fits on the present part, `before` on a smaller one, empty when there was none.
    The gap to the leader is the smaller of the present one and the one extrapolated to all rows, so
    that a shared fit that gains from more rows stays. A shared fit of which no candidate could be
    judged is not among the reasons: its trials say why.
    """
    fitted = {contender.shared_fit.key: contender.best for contender in now if contender.results}
    earlier = {
        contender.shared_fit.key: contender.best for contender in before if contender.results
    }
    ranked = best_first(fitted.values())
    leader = next((key for key, result in fitted.items() if result is ranked[0]), "")
    reasons = {}
    for key, result in fitted.items():
        gap = gap_between(ranked[0], result)
        if leader in earlier and key in earlier:
            gap_before = gap_between(earlier[leader], earlier[key])
            rows = (earlier[key].trial.rows, result.trial.rows, all_rows)
            # The smaller one: a fit that is out cannot come back, one that stays costs some time.
            gap = min(gap, gap_on_all(gap_before, gap, rows))
        reason = why_beaten(ranked[0], result, gap)
        if not reason and not any(result is contender for contender in ranked[:most]):
            reason = f"{result}, not among the best {most}"
        if reason:
            reasons[key] = reason
    return reasons


def fit_jobs(
    shared_fits: Sequence[SharedFit], rung: Rung, so_far: Sequence[SharedFitResult], cores: int
) -> tuple[FitJob, ...]:
    """Divide what shared fits have to run into jobs, one for each task.

    A family that takes long is one job per fold, so that workers share it. The short ones share as
    many jobs as there are cores, because starting a task has a cost. `so_far` gives how long shared
    fits took on a smaller part; a shared fit that is not in it counts as long. The longest jobs
    come first, because one that started last would be waited for alone.
    """
    seconds = _seconds_to_come(so_far, rung)
    families: dict[str, list[SharedFit]] = {}
    for shared_fit in shared_fits:
        families.setdefault(shared_fit.largest.family, []).append(shared_fit)
    long = [name for name in families if seconds.get(name, math.inf) > SHORT_SECONDS]
    long.sort(key=lambda name: -seconds.get(name, math.inf))
    short = _shared({name: seconds[name] for name in families if name not in long}, cores)
    alone = [([name], (fold,)) for name in long for fold in rung.folds]
    work = [*alone, *((names, rung.folds) for names in short)]
    # Jobs run at the same time, and more threads than cores only wait for one another.
    threads = max(1, cores // len(work))
    return tuple(
        FitJob(
            f"{', '.join(names)} {' '.join(map(str, folds))}",
            tuple(
                candidate
                for name in names
                for shared_fit in families[name]
                for candidate in shared_fit.candidates
            ),
            rung.rows,
            folds,
            threads,
        )
        for names, folds in work
    )


def _shared(seconds: Mapping[str, float], fit_jobs: int) -> list[list[str]]:
    """Deal families out to so many jobs, the longest first, each to the job with least so far.

    Example: families of 8, 5 and 4 seconds make two jobs of 8 and 5 + 4.
    """
    dealt: list[list[str]] = [[] for _ in range(fit_jobs)]
    for name in sorted(seconds, key=lambda name: -seconds[name]):
        least = min(dealt, key=lambda names: sum(seconds[family] for family in names))
        least.append(name)
    return [names for names in dealt if names]


def _seconds_to_come(fit_results: Iterable[SharedFitResult], rung: Rung) -> dict[str, float]:
    """Return the seconds that each family will take over a part.

    Extrapolated in proportion to folds and rows from what it took so far.
    """
    seconds: dict[str, float] = {}
    for fit_result in fit_results:
        trial = fit_result.best.trial
        took = trial.seconds / len(trial.fold_values) * len(rung.folds) * rung.rows / trial.rows
        seconds[trial.candidate.family] = seconds.get(trial.candidate.family, 0.0) + took
    return seconds


def _ended_early(outcomes: Sequence[FitOutcome], size: int) -> int | None:
    """Return the rounds after which boosting stopped before a candidate's size, else None.

    Where several folds stopped, it is the fewest rounds.
    """
    return min(
        (outcome.reached for outcome in outcomes if math.isnan(outcome.probability[size][0])),
        default=None,
    )
