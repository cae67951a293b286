"""Opens the MLflow run of a training, if there is anything new to train on.

When killed: the MLflow run is found again by the id of the Dag run, and its tags and metrics are
written again with the same values.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from include.context.step_context import StepContext
from include.errors import (
    NothingToDoError,
)
from include.records.data import Batch, Counts, Dataset, Intake, in_words
from include.records.row_columns import Side
from include.records.training import Form, NoNewData, Plan
from include.settings import code_version
from include.spec.contract import require_slices
from include.spec.model_spec import Spec
from include.steps import race_opening, score_on_arrival
from serving.bundle import libraries

log = logging.getLogger("ratchet")


def plan(context: StepContext, taken_in: Intake, form: Form, dag_run: str) -> Plan:
    """Open the MLflow run of this training and remove the results of earlier races.

    Also scores the champion on the new batches. Raises NothingToDoError when there are too few rows
    or no new ones, NotOwnerError when the model belongs to another spec, TableRefusedError when the
    table has to be migrated first.
    """
    context.registry.ownership.require_owner()
    context.lake.require_newest_format()
    score_on_arrival.score_arrivals(context, taken_in.batches)
    dataset = require_trainable(context.spec, taken_in)
    require_slices(context.lake.require_contract(), context.spec)
    decided = context.registry.decisions.newest_data_version(dag_run)
    if form.no_new_data is NoNewData.SKIP and decided is not None and decided >= dataset.grown:
        raise NothingToDoError(
            f"no row is new since data version {decided}, on which a run has decided. "
            f"{batch_notes(taken_in)}To train all the same, trigger the Dag with 'no_new_data' "
            "set to 'retrain'"
        )
    tags = {"ratchet.code": code_version(context.settings), "ratchet.note": form.note}
    tags |= {f"ratchet.library.{name}": installed for name, installed in libraries().items()}
    run_id = context.registry.runs.open(dag_run, dataset.version, tags)
    context.registry.runs.log(run_id, metrics=totals(dataset, taken_in.batches))
    log.info("MLflow run: %s", context.registry.pages.of_run(run_id))
    log.info("all trainings: %s", context.registry.pages.of_trainings())
    context.registry.runs.log_dataset(run_id, context.lake.url, dataset.version)
    context.registry.runs.log_batches(run_id, taken_in.batches)
    plan = Plan(run_id, dataset)
    # The train matrix is written by the first task that fits: this one is in no training pool.
    race_opening.results_of(context, plan).clear_others()
    return plan


_LONGEST_NAME = 200
"""Characters of a metric's name; MLflow accepts 250, and a prefix is added."""


_BATCH = ("read", "new", "duplicates", "refused")


def batch_notes(taken_in: Intake) -> str:
    """Return the notes of the batches of a run, one sentence each, for the person who sent them."""
    return "".join(f"{batch.name}: {batch.note}. " for batch in taken_in.batches if batch.note)


def require_trainable(spec: Spec, taken_in: Intake) -> Dataset:
    """Return the data set; NothingToDoError when it has too few rows of a class for the folds."""
    dataset = taken_in.dataset
    if dataset is None:
        raise NothingToDoError(
            "no row has ever landed, so there is nothing to train on. "
            f"{batch_notes(taken_in)}".rstrip()
        )
    folds = spec.selection.folds
    if more := [
        *_lacking(Side.TRAIN, dataset.train, folds),
        *_lacking(Side.HOLDOUT, dataset.holdout, 1),
    ]:
        raise NothingToDoError(
            f"too few rows of a class for {folds} folds: train {in_words(dataset.train)}; "
            f"holdout {in_words(dataset.holdout)}. It takes at least {' and '.join(more)} rows: "
            "drop more labelled rows"
        )
    return dataset


def _lacking(side: Side, counts: Counts, least: int) -> Iterator[str]:
    for name, rows in counts.items():
        if rows < least:
            yield f"{least - rows} more {name} {side}"


def totals(dataset: Dataset, batches: Sequence[Batch]) -> dict[str, float]:
    """Return MLflow metrics: rows per side and class, and rows of the batches by their outcome.

    Names are such as `train_positive`, `batch_new` and `refused_` with the reason.
    """
    metrics: Counter[str] = Counter()
    for side, counts in ((Side.TRAIN, dataset.train), (Side.HOLDOUT, dataset.holdout)):
        metrics.update({f"{side}_{name}": count for name, count in counts.items()})
    for batch in batches:
        metrics.update({f"batch_{name}": getattr(batch, name) for name in _BATCH})
        metrics.update({f"refused_{_slug(why)}": rows for why, rows in batch.reasons.items()})
    return dict(metrics)


def _slug(reason: str) -> str:
    """Return a reason as part of a metric's name: lower case, words joined by underscores."""
    return re.sub(r"\W+", "_", reason.lower()).strip("_")[:_LONGEST_NAME]
