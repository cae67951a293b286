"""Runs the race of one training: which candidate is fitted on which rows, and which drop out.

    open_race   opens the train matrix of this machine, and the results of the run
    screen      fits every candidate of a family on two small parts, one fold
    shortlist   drops candidates that cannot be the best on all rows; the rest run a semifinal,
                two folds of a larger part
    finalists   drops candidates after the semifinal; the rest run over all folds of all rows
    run         runs one heat of either: some candidates over some folds
    finish      ranks every candidate and chooses the winner
    fit         fits the winner on the whole train side

Each hands the newest trial of every candidate on to the next, which goes on from there. `screen`,
`run`, `finish` and `fit` may fit models. `shortlist` and `finalists` only compare stored results:
their tasks are outside the training pool.

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

from include.adapters.race_results import RaceResults
from include.adapters.train_matrix import Arranged
from include.context.step_context import StepContext
from include.errors import RaceResultsMissingError, SpecError
from include.records.arrays import Outcome
from include.records.training import Candidate, Elimination, Heat, Plan, Trial
from include.spec.model_spec import Spec
from include.stages import fit as fit_stage
from include.stages import select
from include.stages.select import Cut, Folded, Lane, Lap, RacePart, RaceStanding
from include.stages.split import TRAIN
from include.steps import fit_out_of_memory
from serving.bundle import Layout

log = logging.getLogger("ratchet")


@dataclass(frozen=True)
class Race:
    """The rows, the results and the cores that the candidates of a spec run on."""

    spec: Spec
    layout: Layout
    side: Folded
    results: RaceResults
    cores: int
    """Cores of this machine that a fit may use."""

    @property
    def course(self) -> select.Course:
        """The parts of the train side that are run over: screening, semifinal and final."""
        return select.course(self.side.rows, self.spec.selection)


@dataclass(frozen=True)
class Finish:
    """The result of a race."""

    trials: list[Trial]
    """The leaderboard: every candidate, the winner first."""
    laps: list[Lap]
    """The runs over all folds of all rows: of the finalists, and of soft votes of finalists."""
    members: tuple[Candidate, ...]
    """The winning candidate alone, or the candidates of the winning soft vote."""

    @property
    def winner(self) -> Trial:
        """The first trial of the leaderboard."""
        return self.trials[0]


def open_race(context: StepContext, plan: Plan) -> Race:
    """Open the race of a run; the first task on a machine writes the train matrix to its disk.

    Where the train side is larger than `fit_memory`, the matrix is a stratified sample of it.
    """
    version, rule = plan.dataset.version, context.spec.selection

    def arranged() -> Arranged:
        layout = context.lake.layout(version, context.lake.require_contract())
        if fit_out_of_memory.outgrows(context, plan.dataset, layout):
            X, y = fit_out_of_memory.part(context, plan.dataset, layout)
        else:
            X, y = context.lake.matrix(version, TRAIN, layout)
        order, bounds = select.fold_order(y, rule)
        return Arranged(layout, X, y, select.doubled(order, bounds), bounds)

    name = f"{context.lake.url} {version} {rule.folds} {rule.seed} {context.settings.fit_memory}"
    side = context.train_sides.open(name, arranged)
    results = RaceResults(f"{context.lake.url}/races", plan.run_id, context.settings.s3)
    rows = Folded(side.X, side.y, side.bounds)
    return Race(context.spec, side.layout, rows, results, context.settings.cores)


def screen(race: Race, family: str) -> list[Trial]:
    """Fit every candidate of a family on the small parts; return its trials, the best first."""
    lanes = _lanes(race, family)
    trials = [Trial.unjudged(candidate) for lane in lanes for candidate in lane.candidates]
    threads = max(1, race.cores // len(race.spec.families))
    for part in race.course.screening:
        _fit_over(race, lanes, part, threads)
        trials = _newest(trials, _standings(race, lanes, part))
    ranked = select.leaderboard(trials)
    tell(ranked)
    return ranked


def shortlist(race: Race, trials: Sequence[Trial]) -> Elimination:
    """Drop the candidates that could not win on all rows; the rest run the semifinal, if any.

    `trials` are those of all families, as `screen` returned them. Raises SpecError when no
    candidate could be fitted, RaceResultsMissingError when results of the screening are missing.
    """
    course = race.course
    most = None if course.semifinal else race.spec.selection.finalists
    return _eliminated(race, trials, course.screening, course.semifinal, most)


def finalists(race: Race, trials: Sequence[Trial]) -> Elimination:
    """Drop the candidates that cannot win after the semifinal; the rest run over all train rows.

    `trials` are those that `shortlist` returned. Raises SpecError when none of the remaining
    candidates could be fitted, RaceResultsMissingError when results of the semifinal are missing.
    """
    course = race.course
    run_so_far = course.screening[-1:]
    if course.semifinal:
        run_so_far = (*run_so_far, course.semifinal)
    most = race.spec.selection.finalists if course.screening else None
    return _eliminated(race, trials, run_so_far, course.final, most)


def run(race: Race, heat: Heat) -> Heat:
    """Run the candidates of a heat and write their results to disk; return the heat."""
    lanes = [lane for lane in _all_lanes(race) if lane.largest in heat.candidates]
    _fit_over(race, lanes, RacePart(heat.rows, heat.folds), heat.threads)
    return heat


def finish(race: Race, trials: Sequence[Trial]) -> Finish:
    """Rank all candidates, and choose the winner with the threshold that it is served with.

    The winner is the best finalist or the best soft vote of finalists, whichever has the higher F1
    over all folds. `trials` are those that `finalists` returned; a result that is missing is fitted
    again. Raises SpecError when no finalist could be fitted on all rows.
    """
    lanes, part = _remaining(race, trials), race.course.final
    _fit_over(race, lanes, part, race.cores)
    standings = _standings(race, lanes, part)
    trials = _newest(trials, standings)
    laps = select.best_first(lap for one in standings for lap in one.laps)
    if not laps:
        raise SpecError(f"no finalist could be fitted on all rows: {trials[0].failure}")
    votes = select.votes(laps)
    best, members = select.winner(laps, votes)
    every, seed = [*laps, *(vote.lap for vote in votes)], race.spec.selection.seed
    served = [select.with_served_threshold(lap, seed) for lap in every]
    ran = [one.candidate for one in served]
    ranked = select.leaderboard([*served, *(one for one in trials if one.candidate not in ran)])
    # The winner goes first, also before a vote of more members that has the same F1.
    ranked.sort(key=lambda item: item.candidate != best.trial.candidate)
    return Finish(ranked, every, members)


def winner(race: Race, finish: Finish) -> BaseEstimator:
    """Return the winner unfitted, a pipeline or a soft vote of pipelines, set to use every core."""
    members = [select.use_threads(_pipeline(race, one), race.cores) for one in finish.members]
    return members[0] if len(members) == 1 else select.soft_vote(members)


def fit(race: Race, finish: Finish) -> FixedThresholdClassifier:
    """Fit the winner on the whole train matrix; the threshold is part of the fitted model."""
    X, y = race.side.whole
    with threadpool_limits(race.cores):
        return fit_stage.fit(winner(race, finish), finish.winner.threshold, X, y)


def tell(trials: Sequence[Trial], outcome: str = "in the race") -> None:
    """Log a leaderboard, a line for each candidate: how far it ran, or why it dropped out."""
    for line in select.listed(trials, outcome):
        log.info("%s", line)


def _eliminated(
    race: Race,
    trials: Sequence[Trial],
    parts: Sequence[RacePart],
    coming: RacePart | None,
    most: int | None,
) -> Elimination:
    """Compare the remaining lanes on the last parts that they ran; return who runs `coming`.

    At most `most` lanes stay; None stands for as many as there are.
    """
    lanes = _remaining(race, trials)
    standings = [_standings(race, lanes, part) for part in parts]
    now, before = standings[-1] if standings else [], standings[-2] if standings[1:] else []
    most = len(lanes) if most is None else most
    reasons = select.eliminated(now, before, race.side.rows, most)
    unfit = {one.lane.key for one in now if not one.laps}
    left = tuple(one for one in lanes if one.key not in reasons and one.key not in unfit)
    ranked = _newest(trials, now, reasons)
    tell(select.leaderboard(ranked))
    if not left:
        failure = next(one.failure for one in ranked if one.failure)
        raise SpecError(f"none of {len(ranked)} candidates could be fitted: {failure}")
    so_far = [one for one in now if one.lane in left]
    heats = select.heats(left, coming, so_far, race.cores) if coming else ()
    return Elimination(tuple(ranked), heats)


def _remaining(race: Race, trials: Sequence[Trial]) -> list[Lane]:
    """Return the lanes of which any candidate has neither dropped out nor failed."""
    remaining = [trial.candidate for trial in trials if not (trial.left or trial.failure)]
    return [
        lane
        for lane in _all_lanes(race)
        if any(candidate in remaining for candidate in lane.candidates)
    ]


def _newest(
    trials: Sequence[Trial],
    standings: Sequence[RaceStanding],
    reasons: select.Reasons = MappingProxyType({}),
) -> list[Trial]:
    """Return the trials, where those of the standings replace older ones of the same candidate."""
    new = [one for this in standings for one in this.trials(reasons.get(this.lane.key, ""))]
    judged = [one.candidate for one in new]
    return [*new, *(one for one in trials if one.candidate not in judged)]


def _all_lanes(race: Race) -> list[Lane]:
    return [lane for family in race.spec.families for lane in _lanes(race, family.name)]


def _lanes(race: Race, family: str) -> list[Lane]:
    """Group the candidates of a family into lanes: one fit gives the results of a whole lane."""
    listed = select.candidates(race.spec.family(family))
    return select.lanes(listed, _pipeline(race, listed[0]))


def _pipeline(race: Race, candidate: Candidate) -> Pipeline:
    family = race.spec.family(candidate.family)
    return select.build(candidate, family, race.spec.selection.seed, race.layout)


def _fit_over(race: Race, lanes: Sequence[Lane], part: RacePart, threads: int) -> None:
    """Fit lanes on the folds of a part and store the results; what is stored is not repeated."""
    for fold in part.folds:
        waiting = [lane for lane in lanes if race.results.find(_name(lane, part, fold)) is None]
        if not waiting:
            continue
        shared = select.Preparation(race.side.fold(fold, part.rows), threads)
        for lane in waiting:
            outcome = select.run(lane, _pipeline(race, lane.largest), shared)
            race.results.keep(_name(lane, part, fold), outcome)
            sentence = f"{outcome.seconds:.1f} s  {lane.largest.title} {outcome.failure}"
            log.info("fold %d of %d rows: %s", fold, part.rows, sentence)


def _standings(race: Race, lanes: Sequence[Lane], part: RacePart) -> list[RaceStanding]:
    """Return the standings of lanes on a part from stored results alone.

    Raises RaceResultsMissingError when any of them is missing.
    """
    cut = Cut(part.rows, len(race.side.folds))
    labels = [race.side.validation_labels(fold, part.rows) for fold in part.folds]
    return [select.standing(lane, cut, labels, list(_outcomes(race, lane, part))) for lane in lanes]


def _outcomes(race: Race, lane: Lane, part: RacePart) -> Iterator[Outcome]:
    for fold in part.folds:
        outcome = race.results.find(_name(lane, part, fold))
        if outcome is None:
            raise RaceResultsMissingError(
                f"the result of {lane.largest.title} on fold {fold} of {part.rows} rows is no "
                f"longer in {race.results.url}, and this task does not fit. Clear the task "
                "select.screen of this run in Airflow, with all that come after it"
            )
        yield outcome


def _name(lane: Lane, part: RacePart, fold: int) -> str:
    return f"{lane.key}-{part.rows}-{fold}.npz"
