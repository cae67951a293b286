"""Whether there is anything to train on, and what a run took in."""

import re
from collections import Counter
from collections.abc import Sequence

from include.errors import NothingToDoError
from include.records.records import Batch, Dataset, Intake, in_words
from include.spec.model_spec import Spec

_LONGEST_NAME = 200
"""Of a metric, in characters; MLflow takes 250."""
_BATCH = ("read", "new", "duplicates", "refused")


def noted(taken_in: Intake) -> str:
    """Say why files of this run brought no row, for the person who dropped them."""
    return "".join(f"{batch.name}: {batch.note}. " for batch in taken_in.batches if batch.note)


def require_trainable(spec: Spec, taken_in: Intake) -> Dataset:
    """Return the data set as it stands, or raise NothingToDoError when it is too small."""
    dataset = taken_in.dataset
    if dataset is None:
        raise NothingToDoError(
            f"no row has ever landed, so there is nothing to train on. {noted(taken_in)}".rstrip()
        )
    folds = spec.selection.folds
    if min(dataset.train.values()) < folds or min(dataset.holdout.values()) < 1:
        raise NothingToDoError(
            f"too few rows of a class for {folds} folds: train {in_words(dataset.train)}; "
            f"holdout {in_words(dataset.holdout)}. Drop more labelled rows"
        )
    return dataset


def totals(dataset: Dataset, batches: Sequence[Batch]) -> dict[str, float]:
    """Return as metrics the rows per side and class, and those of the batches by what they were."""
    found: Counter[str] = Counter()
    for side, counts in (("train", dataset.train), ("holdout", dataset.holdout)):
        found.update({f"{side}_{name}": count for name, count in counts.items()})
    for batch in batches:
        found.update({f"batch_{name}": getattr(batch, name) for name in _BATCH})
        found.update({f"refused_{_slug(why)}": rows for why, rows in batch.reasons.items()})
    return dict(found)


def _slug(reason: str) -> str:
    """Return a reason as a metric's name."""
    return re.sub(r"\W+", "_", reason.lower()).strip("_")[:_LONGEST_NAME]
