"""Runs the race of one training: which candidate is fitted on which rows, and which drop out.

    screen      fits every candidate of a family on two small parts, one fold
    shortlist   drops candidates that cannot be the best on all rows; the rest run a semifinal,
                two folds of a larger part
    finalists   drops candidates after the semifinal; the rest run over all folds of all rows
    run         runs one job of either: some candidates over some folds
    finish      ranks every candidate and chooses the winner
    fit         fits the winner on the whole train side

Each hands the newest trial of every candidate on to the next, which goes on from there. `screen`,
`run_job`, `finish` and `fit` may fit models. `shortlist` and `finalists` only compare stored
results: their tasks are outside the training pool, and need no train matrix on their machine.

When killed: the result of each fit is written to disk as soon as the fit ends, and looked up before
a fit begins, so only the fit that was running is lost. Which candidates drop out follows from their
scores alone, never from the time that a fit took.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sklearn.base import BaseEstimator
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from include.errors import SpecError
from include.metrics import Objective
from include.records.arrays import FitOutcome
from include.records.training import Candidate, Elimination, FitJob, Trial
from include.stages import fit as fit_stage
from include.stages import select
from include.stages.select import (
    CandidateResult,
    FoldLabels,
    FoldSize,
    Rung,
    SharedFit,
    SharedFitResult,
)
from include.steps.race_opening import Race, RaceOver, missing

log = logging.getLogger("ratchet")


@dataclass(frozen=True)
class RaceOutcome:
    """The result of a race."""

    trials: list[Trial]
    """The leaderboard: every candidate, the winner first."""
    results: list[CandidateResult]
    """The runs over all folds of all rows: of the finalists, and of soft votes of finalists."""
    members: tuple[Candidate, ...]
    """The winning candidate alone, or the candidates of the winning soft vote."""

    @property
    def winner(self) -> Trial:
        """The first trial of the leaderboard."""
        return self.trials[0]


def screen(race: Race, family: str) -> list[Trial]:
    """Fit every candidate of a family on the small parts; return its trials, the best first."""
    shared_fits = _shared_fits(race, family)
    trials = [
        Trial.unjudged(candidate)
        for shared_fit in shared_fits
        for candidate in shared_fit.candidates
    ]
    threads = max(1, race.cores // len(race.spec.families))
    for rung in race.rungs.screening:
        _fit_over(race, shared_fits, rung, threads)
        trials = _newest(trials, _fit_results(race, shared_fits, rung))
    ranked = select.leaderboard(trials, race.metric)
    log_leaderboard(ranked, race.metric)
    return ranked


def shortlist(race: RaceOver[FoldLabels], trials: Sequence[Trial]) -> Elimination:
    """Drop the candidates that could not win on all rows; the rest run the semifinal, if any.

    `trials` are those of all families, as `screen` returned them. Raises SpecError when no
    candidate could be fitted, RaceResultsMissingError when results of the screening are missing.
    """
    rungs = race.rungs
    most = None if rungs.semifinal else race.spec.selection.finalists
    return _eliminated(race, trials, rungs.screening, rungs.semifinal, most)


def finalists(race: RaceOver[FoldLabels], trials: Sequence[Trial]) -> Elimination:
    """Drop the candidates that cannot win after the semifinal; the rest run over all train rows.

    `trials` are those that `shortlist` returned. Raises SpecError when none of the remaining
    candidates could be fitted, RaceResultsMissingError when results of the semifinal are missing.
    """
    rungs = race.rungs
    run_so_far = rungs.screening[-1:]
    if rungs.semifinal:
        run_so_far = (*run_so_far, rungs.semifinal)
    most = race.spec.selection.finalists if rungs.screening else None
    return _eliminated(race, trials, run_so_far, rungs.final, most)


def run_job(race: Race, fit_job: FitJob) -> FitJob:
    """Run the candidates of a job and write their results to disk; return the job."""
    shared_fits = [
        shared_fit
        for shared_fit in _all_shared_fits(race)
        if shared_fit.largest in fit_job.candidates
    ]
    _fit_over(race, shared_fits, Rung(fit_job.rows, fit_job.folds), fit_job.threads)
    return fit_job


def finish(race: Race, trials: Sequence[Trial]) -> RaceOutcome:
    """Rank all candidates, and choose the winner with the threshold that it is served with.

    The winner is the best finalist or the best soft vote of finalists, whichever is better over
    all folds. `trials` are those that `finalists` returned; a result that is missing is fitted
    again. Raises SpecError when no finalist could be fitted on all rows.
    """
    shared_fits, rung = _remaining(race, trials), race.rungs.final
    _fit_over(race, shared_fits, rung, race.cores)
    fit_results = _fit_results(race, shared_fits, rung)
    trials = _newest(trials, fit_results)
    results = select.best_first(result for one in fit_results for result in one.results)
    if not results:
        raise SpecError(f"no finalist could be fitted on all rows: {trials[0].failure}")
    votes = select.votes(results)
    best, members = select.best_alone_or_voted(results, votes)
    every, seed = [*results, *(vote.result for vote in votes)], race.spec.selection.seed
    served = [select.with_served_threshold(result, seed) for result in every]
    ran = [one.candidate for one in served]
    rest = (one for one in trials if one.candidate not in ran)
    ranked = select.leaderboard([*served, *rest], race.metric)
    # The winner goes first, also before a vote of more members that is as good.
    ranked.sort(key=lambda item: item.candidate != best.trial.candidate)
    return RaceOutcome(ranked, every, members)


def unfitted_winner(race: Race, race_outcome: RaceOutcome) -> BaseEstimator:
    """Return the winner unfitted, a pipeline or a soft vote of pipelines, set to use every core."""
    members = [select.use_threads(_pipeline(race, one), race.cores) for one in race_outcome.members]
    return members[0] if len(members) == 1 else select.soft_vote(members)


def fit(race: Race, race_outcome: RaceOutcome) -> FixedThresholdClassifier:
    """Fit the winner on the whole train matrix; the threshold is part of the fitted model."""
    X, y = race.side.whole
    with threadpool_limits(race.cores):
        return fit_stage.fit(
            unfitted_winner(race, race_outcome), race_outcome.winner.threshold, X, y
        )


def log_leaderboard(
    trials: Sequence[Trial], metric: Objective, outcome: str = "in the race"
) -> None:
    """Log a leaderboard, a line for each candidate: how far it ran, or why it dropped out."""
    for line in select.leaderboard_lines(trials, outcome, metric):
        log.info("%s", line)


def _eliminated(
    race: RaceOver[FoldLabels],
    trials: Sequence[Trial],
    rungs_run: Sequence[Rung],
    coming: Rung | None,
    most: int | None,
) -> Elimination:
    """Compare the remaining shared fits on the last parts that they ran; return who runs `coming`.

    At most `most` shared fits stay; None stands for as many as there are.
    """
    shared_fits = _remaining(race, trials)
    fit_results = [_fit_results(race, shared_fits, rung) for rung in rungs_run]
    now, before = fit_results[-1] if fit_results else [], fit_results[-2] if fit_results[1:] else []
    most = len(shared_fits) if most is None else most
    reasons = select.reasons_against(now, before, race.side.rows, most)
    unfit = {one.shared_fit.key for one in now if not one.results}
    left = tuple(one for one in shared_fits if one.key not in reasons and one.key not in unfit)
    ranked = _newest(trials, now, reasons)
    log_leaderboard(select.leaderboard(ranked, race.metric), race.metric)
    if not left:
        failure = next(one.failure for one in ranked if one.failure)
        raise SpecError(f"none of {len(ranked)} candidates could be fitted: {failure}")
    so_far = [one for one in now if one.shared_fit in left]
    fit_jobs = select.fit_jobs(left, coming, so_far, race.cores) if coming else ()
    return Elimination(tuple(ranked), fit_jobs)


def _remaining(race: RaceOver[FoldLabels], trials: Sequence[Trial]) -> list[SharedFit]:
    """Return the shared fits of which any candidate has neither dropped out nor failed."""
    remaining = [trial.candidate for trial in trials if not (trial.left or trial.failure)]
    return [
        shared_fit
        for shared_fit in _all_shared_fits(race)
        if any(candidate in remaining for candidate in shared_fit.candidates)
    ]


def _newest(
    trials: Sequence[Trial],
    fit_results: Sequence[SharedFitResult],
    reasons: select.EliminationReasons = MappingProxyType({}),
) -> list[Trial]:
    """Return the trials, where those of the results replace older ones of the same candidate."""
    new = [one for this in fit_results for one in this.trials(reasons.get(this.shared_fit.key, ""))]
    judged = [one.candidate for one in new]
    return [*new, *(one for one in trials if one.candidate not in judged)]


def _all_shared_fits(race: RaceOver[FoldLabels]) -> list[SharedFit]:
    return [
        shared_fit
        for family in race.spec.families
        for shared_fit in _shared_fits(race, family.name)
    ]


def _shared_fits(race: RaceOver[FoldLabels], family: str) -> list[SharedFit]:
    """Group the candidates of a family: those that one fit serves stand together."""
    listed = select.candidates(race.spec.family(family))
    return select.shared_fits(listed, _pipeline(race, listed[0]))


def _pipeline(race: RaceOver[FoldLabels], candidate: Candidate) -> Pipeline:
    family = race.spec.family(candidate.family)
    return select.build(candidate, family, race.spec.selection.seed, race.layout)


def _fit_over(race: Race, shared_fits: Sequence[SharedFit], rung: Rung, threads: int) -> None:
    """Fit on the folds of a part and store the results; what is stored is not repeated."""
    for fold in rung.folds:
        waiting = [
            shared_fit
            for shared_fit in shared_fits
            if race.results.find(_name(shared_fit, rung, fold)) is None
        ]
        if not waiting:
            continue
        shared = select.FoldCache(race.side.fold(fold, rung.rows), threads)
        for shared_fit in waiting:
            outcome = select.fit_and_predict(
                shared_fit, _pipeline(race, shared_fit.largest), shared
            )
            race.results.keep(_name(shared_fit, rung, fold), outcome)
            sentence = f"{outcome.seconds:.1f} s  {shared_fit.largest.title} {outcome.failure}"
            log.info("fold %d of %d rows: %s", fold, rung.rows, sentence)


def _fit_results(
    race: RaceOver[FoldLabels], shared_fits: Sequence[SharedFit], rung: Rung
) -> list[SharedFitResult]:
    """Return the results of shared fits on a part, from what is stored alone.

    Raises RaceResultsMissingError when any of them is missing.
    """
    fold_size = FoldSize(rung.rows, len(race.side.folds))
    labels = [race.side.validation_labels(fold, rung.rows) for fold in rung.folds]
    return [
        select.judge_shared_fit(
            shared_fit, fold_size, labels, list(_outcomes(race, shared_fit, rung)), race.criterion
        )
        for shared_fit in shared_fits
    ]


def _outcomes(
    race: RaceOver[FoldLabels], shared_fit: SharedFit, rung: Rung
) -> Iterator[FitOutcome]:
    for fold in rung.folds:
        outcome = race.results.find(_name(shared_fit, rung, fold))
        if outcome is None:
            title = shared_fit.largest.title
            raise missing(f"the result of {title} on fold {fold} of {rung.rows} rows", race.results)
        yield outcome


def _name(shared_fit: SharedFit, rung: Rung, fold: int) -> str:
    return f"{shared_fit.key}-{rung.rows}-{fold}.npz"
