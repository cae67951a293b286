"""Opens the race of a run: the train matrix of this machine, or what comparing results takes of it.

open_race   opens the matrix, for whoever fits; the first task on a machine writes it
hand_on     stores the labels of the train side beside the results
open_stored opens these labels, for tasks that fit nothing
results_of  returns the stored results, without any row
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from include.adapters.race_results import RaceLabels, RaceResults
from include.adapters.train_matrix import OrderedRows
from include.context.step_context import StepContext
from include.errors import RaceResultsMissingError
from include.metrics import Objective
from include.problems import Criterion, criterion
from include.records.row_columns import Side
from include.records.training import Plan
from include.spec.model_spec import Spec
from include.stages import select
from include.stages.select import FoldedRows, FoldLabels
from include.steps import fit_out_of_memory
from serving.bundle import Layout

SideT_co = TypeVar("SideT_co", bound=FoldLabels, covariant=True)


@dataclass(frozen=True)
class RaceOver(Generic[SideT_co]):
    """The rows or their labels, the results and the cores that the candidates of a spec run on."""

    spec: Spec
    layout: Layout
    side: SideT_co
    results: RaceResults
    cores: int
    """Cores of this machine that a fit may use."""

    @property
    def criterion(self) -> Criterion:
        """What candidates are compared by."""
        return criterion(self.spec.problem, self.spec.gate.metric)

    @property
    def metric(self) -> Objective:
        """The metric of that: the one of the gate."""
        return self.criterion.metric

    @property
    def rungs(self) -> select.Rungs:
        """The parts of the train side that are run over: screening, semifinal and final."""
        return select.rungs(self.side.rows, self.spec.selection)


Race = RaceOver[FoldedRows]
"""A race in which models can be fitted."""


def open_race(context: StepContext, plan: Plan) -> Race:
    """Open the race of a run; the first task on a machine writes the train matrix to its disk.

    Where the train side is larger than `fit_memory`, the matrix is a stratified sample of it.
    """
    version, rule = plan.dataset.version, context.spec.selection

    def arranged() -> OrderedRows:
        layout = context.lake.layout(version, context.lake.require_contract())
        if fit_out_of_memory.outgrows(context, plan.dataset, layout):
            X, y = fit_out_of_memory.sample_that_fits(context, plan.dataset, layout)
        else:
            X, y = context.lake.matrix(version, Side.TRAIN, layout)
        order, bounds = select.fold_order(y, rule)
        return OrderedRows(layout, X, y, select.doubled_order(order, bounds), bounds)

    name = f"{context.lake.url} {version} {rule.folds} {rule.seed} {context.settings.fit_memory}"
    side = context.train_sides.open(name, arranged)
    rows = FoldedRows(side.y, side.bounds, side.X)
    return Race(context.spec, side.layout, rows, results_of(context, plan), context.settings.cores)


def hand_on(race: Race) -> None:
    """Store what `open_stored` reads, unless another task of the run has."""
    # Every family's task may come here first; they write the same bytes.
    if race.results.labels() is None:
        _, y = race.side.whole
        race.results.keep_labels(RaceLabels(race.layout, y, race.side.bounds))


def open_stored(context: StepContext, plan: Plan) -> RaceOver[FoldLabels]:
    """Open the race of a run without the features of its rows, as `hand_on` stored it.

    Raises RaceResultsMissingError when that is gone.
    """
    results = results_of(context, plan)
    stored = results.labels()
    if stored is None:
        raise missing("the list of labels", results)
    labels = FoldLabels(stored.y, stored.bounds)
    return RaceOver(context.spec, stored.layout, labels, results, context.settings.cores)


def results_of(context: StepContext, plan: Plan) -> RaceResults:
    """Return the stored results of a run's race."""
    return RaceResults(f"{context.lake.url}/races", plan.run_id, context.settings.s3)


def missing(what: str, results: RaceResults) -> RaceResultsMissingError:
    """Return the error about a result that is gone."""
    return RaceResultsMissingError(
        f"{what} is no longer in {results.url}, and this task does not fit. Clear the task "
        "select.screen of this run in Airflow, with all that come after it"
    )
