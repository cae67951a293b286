"""Results of the race: the parts it runs over, the lanes' results, and who is eliminated."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from include.records.arrays import Labels, Outcome
from include.records.training import Heat, Trial
from include.spec.model_spec import Selection
from include.stages.select.lanes import Lane
from include.stages.select.verdicts import Cut, Lap, beaten, gap_between, gap_on_all, judge

SHORT_SECONDS = 10.0
"""A family that takes longer gets a task for each fold."""
LEAST_STEP = 2
"""A smaller part is run only where all rows are more than this many times its rows."""
Reasons = Mapping[str, str]
"""Why a lane is eliminated, by the key of the lane; a lane that is not in it stays."""


@dataclass(frozen=True)
class RaceStanding:
    """The results of a lane over some folds of a cut."""

    lane: Lane
    laps: tuple[Lap, ...]
    """Those of the candidates that could be judged, the best first."""
    unfit: tuple[Trial, ...]
    """Those of the candidates that failed or stopped early."""

    @property
    def best(self) -> Lap:
        """The best candidate's result; IndexError when no candidate could be judged."""
        return self.laps[0]

    def trials(self, left: str = "") -> list[Trial]:
        """Return a leaderboard line for each candidate; `left` is why the lane is eliminated."""
        return [*(replace(lap.trial, left=left) for lap in self.laps), *self.unfit]


@dataclass(frozen=True)
class RacePart:
    """A number of train rows, cut into all folds, and the folds that are run."""

    rows: int
    folds: tuple[int, ...]


@dataclass(frozen=True)
class Course:
    """The parts that a race runs over, in order."""

    screening: tuple[RacePart, ...]
    """Every candidate runs on these."""
    semifinal: RacePart | None
    """The candidates that are left run on this; None where it would save hardly any time."""
    final: RacePart
    """All rows and all folds."""


def course(rows: int, rule: Selection) -> Course:
    """Return the parts of a race over so many train rows.

    Screening has two sizes, to see which candidates gain from more rows. The semifinal is the
    geometric mean of the larger size and all rows.

    Example with 5 folds and 5,000 screened rows: 80,000 rows are screened on 1,250 and on 5,000
    rows (fold 0), the semifinal is sqrt(5,000 * 80,000) = 20,000 rows (folds 0 and 1), the final
    all rows and folds. 9,000 rows are screened on 5,000 and have no semifinal.
    """
    final = RacePart(rows, tuple(range(rule.folds)))
    if rule.strategy == "exhaustive":
        return Course((), None, final)
    first = min(rows, rule.screened_rows)
    if rows <= LEAST_STEP * first:
        return Course((RacePart(first, (0,)),), None, final)
    screening = (RacePart(first // 4, (0,)), RacePart(first, (0,)))
    return Course(screening, RacePart(round(math.sqrt(first * rows)), (0, 1)), final)


def standing(
    lane: Lane, cut: Cut, labels: Sequence[Labels], outcomes: Sequence[Outcome]
) -> RaceStanding:
    """Judge a lane's candidates by the labels and the outcome of each fold."""
    seconds = sum(outcome.seconds for outcome in outcomes)
    laps, unfit = [], []
    for place, candidate in enumerate(lane.candidates):
        failure = next((outcome.failure for outcome in outcomes if outcome.failure), "")
        ended = None if failure else _ended_early(outcomes, place)
        if ended is not None:
            failure = f"ended early at size {ended}, for the validation rows gained nothing more"
        if failure:
            unjudged = Trial(candidate, cut.rows, 0.0, (), 0.5, seconds, failure=failure)
            unfit.append(replace(unjudged, ended_early=ended))
        else:
            probabilities = [outcome.probability[place] for outcome in outcomes]
            laps.append(judge(candidate, cut, labels, probabilities, seconds))
    return RaceStanding(lane, tuple(best_first(laps)), tuple(unfit))


def best_first(laps: Iterable[Lap]) -> list[Lap]:
    """Return laps by falling F1; equal ones are ordered by the candidate's title."""
    return sorted(laps, key=lambda lap: (-lap.trial.f1, lap.trial.candidate.title))


def eliminated(
    now: Sequence[RaceStanding], before: Sequence[RaceStanding], all_rows: int, most: int
) -> Reasons:
    """Return which lanes are eliminated and why: those clearly beaten, and those beyond `most`.

    `now` are lanes on the present part, `before` on a smaller one, empty when there was none. The
    gap to the leader is the smaller of the present one and the one extrapolated to all rows, so
    that a lane that gains from more rows stays. A lane of which no candidate could be judged is not
    among the reasons: its trials say why.
    """
    fitted = {contender.lane.key: contender.best for contender in now if contender.laps}
    earlier = {contender.lane.key: contender.best for contender in before if contender.laps}
    ranked = best_first(fitted.values())
    leader = next((key for key, lap in fitted.items() if lap is ranked[0]), "")
    reasons = {}
    for key, lap in fitted.items():
        gap = gap_between(ranked[0], lap)
        if leader in earlier and key in earlier:
            gap_before = gap_between(earlier[leader], earlier[key])
            rows = (earlier[key].trial.rows, lap.trial.rows, all_rows)
            gap = min(gap, gap_on_all(gap_before, gap, rows))
        reason = beaten(ranked[0], lap, gap)
        if not reason and not any(lap is contender for contender in ranked[:most]):
            reason = f"F1 {lap.trial.f1:.4f} on {lap.trial.rows} rows, not among the best {most}"
        if reason:
            reasons[key] = reason
    return reasons


def heats(
    lanes: Sequence[Lane], part: RacePart, so_far: Sequence[RaceStanding], cores: int
) -> tuple[Heat, ...]:
    """Divide what lanes have to run into heats, one for each task.

    A family that takes long is one heat per fold, so that workers share it. The short ones share as
    many heats as there are cores, because starting a task has a cost. `so_far` gives how long lanes
    took on a smaller part; a lane that is not in it counts as long. The longest heats come first,
    because one that started last would be waited for alone.
    """
    seconds = _seconds_to_come(so_far, part)
    families: dict[str, list[Lane]] = {}
    for lane in lanes:
        families.setdefault(lane.largest.family, []).append(lane)
    long = [name for name in families if seconds.get(name, math.inf) > SHORT_SECONDS]
    long.sort(key=lambda name: -seconds.get(name, math.inf))
    short = _shared({name: seconds[name] for name in families if name not in long}, cores)
    alone = [([name], (fold,)) for name in long for fold in part.folds]
    cut = [*alone, *((names, part.folds) for names in short)]
    threads = max(1, cores // len(cut))
    return tuple(
        Heat(
            f"{', '.join(names)} {' '.join(map(str, folds))}",
            tuple(
                candidate
                for name in names
                for lane in families[name]
                for candidate in lane.candidates
            ),
            part.rows,
            folds,
            threads,
        )
        for names, folds in cut
    )


def _shared(seconds: Mapping[str, float], heats: int) -> list[list[str]]:
    """Deal families out to so many heats, the longest first, each to the heat with least so far.

    Example: families of 8, 5 and 4 seconds make two heats of 8 and 5 + 4.
    """
    dealt: list[list[str]] = [[] for _ in range(heats)]
    for name in sorted(seconds, key=lambda name: -seconds[name]):
        least = min(dealt, key=lambda names: sum(seconds[family] for family in names))
        least.append(name)
    return [names for names in dealt if names]


def _seconds_to_come(standings: Iterable[RaceStanding], part: RacePart) -> dict[str, float]:
    """Return the seconds that each family will take over a part.

    Extrapolated in proportion to folds and rows from what it took so far.
    """
    seconds: dict[str, float] = {}
    for lane_standing in standings:
        trial = lane_standing.best.trial
        took = trial.seconds / len(trial.fold_f1) * len(part.folds) * part.rows / trial.rows
        seconds[trial.candidate.family] = seconds.get(trial.candidate.family, 0.0) + took
    return seconds


def _ended_early(outcomes: Sequence[Outcome], size: int) -> int | None:
    """Return the rounds after which boosting stopped before a candidate's size, else None.

    Where several folds stopped, it is the fewest rounds.
    """
    return min(
        (outcome.reached for outcome in outcomes if math.isnan(outcome.probability[size][0])),
        default=None,
    )
