"""How the lanes of a race stand, who drops out, and what the finalists still have to run."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from include.records.arrays import Labels, Outcome
from include.records.training import Heat, Trial
from include.spec.model_spec import Selection
from include.stages.select.lanes import Lane
from include.stages.select.verdicts import Cut, Lap, beaten, gap_between, gap_on_all, judge

SHORT_SECONDS = 10.0
"""A family that takes longer is a heat a fold."""
LEAST_STEP = 2
"""A part is worth its time when all rows are more than so many times as many."""
Reasons = Mapping[str, str]
"""Why a lane drops out, by the key of the lane; who is not in it stays."""


@dataclass(frozen=True)
class RaceStanding:
    """A lane over some folds of a cut."""

    lane: Lane
    laps: tuple[Lap, ...]
    """Of the candidates that came to something, the best first."""
    unfit: tuple[Trial, ...]

    @property
    def best(self) -> Lap:
        """The lap that stands for the lane; IndexError when no candidate came to anything."""
        return self.laps[0]

    def trials(self, left: str = "") -> list[Trial]:
        """Return the line of each candidate, with the reason why the lane drops out, if it does."""
        return [*(replace(lap.trial, left=left) for lap in self.laps), *self.unfit]


@dataclass(frozen=True)
class RacePart:
    """So many train rows, cut into all folds, and the folds that are run."""

    rows: int
    folds: tuple[int, ...]


@dataclass(frozen=True)
class Course:
    """What a race goes over, part by part."""

    screening: tuple[RacePart, ...]
    """Every candidate runs on these."""
    semifinal: RacePart | None
    """Who is left then runs on this; None where that would hardly be a step."""
    final: RacePart


def course(rows: int, rule: Selection) -> Course:
    """Return the parts of a race over so many train rows.

    Screening has two parts so that it is seen who learns from more rows; the semifinal is the
    geometric mean of the larger one and all rows.
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
    seconds = sum(one.seconds for one in outcomes)
    laps, unfit = [], []
    for at, candidate in enumerate(lane.candidates):
        failure = next((one.failure for one in outcomes if one.failure), "")
        ended = None if failure else _ended_early(outcomes, at)
        if ended is not None:
            failure = f"ended early at size {ended}, for the validation rows gained nothing more"
        if failure:
            nothing = Trial(candidate, cut.rows, 0.0, (), 0.5, seconds, failure=failure)
            unfit.append(replace(nothing, ended_early=ended))
        else:
            said = [one.probability[at] for one in outcomes]
            laps.append(judge(candidate, cut, labels, said, seconds))
    return RaceStanding(lane, tuple(best_first(laps)), tuple(unfit))


def best_first(laps: Iterable[Lap]) -> list[Lap]:
    """Return laps by F1; the name decides between equal ones."""
    return sorted(laps, key=lambda lap: (-lap.trial.f1, lap.trial.candidate.title))


def out(
    now: Sequence[RaceStanding], before: Sequence[RaceStanding], all_rows: int, most: int
) -> Reasons:
    """Say which lanes could not win on all rows, and who is one too many.

    `before` are lanes on a smaller part, empty when there was none. At most `most` lanes stay, the
    best. A lane of which no candidate came to anything is in no reasons: its trials tell.
    """
    fitted = {one.lane.key: one.best for one in now if one.laps}
    earlier = {one.lane.key: one.best for one in before if one.laps}
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
        if not reason and not any(lap is one for one in ranked[:most]):
            reason = f"F1 {lap.trial.f1:.4f} on {lap.trial.rows} rows, not among the best {most}"
        if reason:
            reasons[key] = reason
    return reasons


def heats(
    lanes: Sequence[Lane], part: RacePart, so_far: Sequence[RaceStanding], cores: int
) -> tuple[Heat, ...]:
    """Cut what lanes have to run into what one task runs.

    A family that takes long is a heat a fold, for workers to share; the short ones share as many
    heats as there are cores, for every task costs its start. `so_far` tells how long lanes took on
    a smaller part; one that is not in it is taken for long. The longest heats come first: one that
    began last would be waited for alone.
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
            tuple(one for name in names for lane in families[name] for one in lane.candidates),
            part.rows,
            folds,
            threads,
        )
        for names, folds in cut
    )


def _shared(seconds: Mapping[str, float], heats: int) -> list[list[str]]:
    """Deal families out to so many heats, the longest first, each to the one that has least."""
    dealt: list[list[str]] = [[] for _ in range(heats)]
    for name in sorted(seconds, key=lambda name: -seconds[name]):
        least = min(dealt, key=lambda names: sum(seconds[one] for one in names))
        least.append(name)
    return [names for names in dealt if names]


def _seconds_to_come(standings: Iterable[RaceStanding], part: RacePart) -> dict[str, float]:
    """Return how long each family will take over a part, by what it took so far."""
    seconds: dict[str, float] = {}
    for one in standings:
        trial = one.best.trial
        took = trial.seconds / len(trial.fold_f1) * len(part.folds) * part.rows / trial.rows
        seconds[trial.candidate.family] = seconds.get(trial.candidate.family, 0.0) + took
    return seconds


def _ended_early(outcomes: Sequence[Outcome], size: int) -> int | None:
    """Return at how many rounds boosting ended before a candidate's number, None when it did not.

    Of several folds the fewest.
    """
    return min(
        (one.reached for one in outcomes if math.isnan(one.probability[size][0])), default=None
    )
