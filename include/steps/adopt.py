"""Registers a model that was fitted outside of the pipeline as a model version.

With the rows that it was fitted on, their keys are stored and compared with the holdout whenever
the model is judged. Without them it is judged only on holdout rows that arrive after its adoption.
The file is opened without running any code that it holds, see `include.adapters.model_files`.

When killed: nothing is registered, or the version is. The MLflow run is found again by the digest
of the files, so that adopting the same files again gives the same version.
"""

import hashlib
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from include.adapters.model_files import open_model_file
from include.context.step_context import StepContext
from include.errors import AdoptionError, ChampionMovedError, FileRefusedError, reason_of
from include.problems import problem_named
from include.records.data import Dataset
from include.records.fitted_keys import FittedKeys
from include.records.models import FITTED_KEYS, ORIGIN, TABLE, ModelVersion, Origin
from include.records.moves import Move, MoveKind
from include.records.row_columns import KEYS, Side
from include.reports.move_log import log_move
from include.stages import dedup as dedup_stage
from include.stages import ingest as ingest_stage
from include.steps.manifests import ExampleRows, manifest_of
from serving.bundle import Bundle, BundleRefusedError, Layout, Manifest, load, save

_FAMILY = "adopted"
_TRIED_ROWS = 100


@dataclass(frozen=True)
class AdoptionRequest:
    """A request to adopt a model: its file, who asks, and why."""

    model: Path
    """The file of a fitted classifier with scikit-learn's interface, as joblib or pickle."""
    by: str
    """The person who asks."""
    reason: str
    threshold: float = 0.5
    """From this probability of the positive class on, a row is called positive."""
    fitted: Path | None = None
    """A file of the rows it was fitted on, in any format that landing accepts; None if unknown."""


def adopt(context: StepContext, offer: AdoptionRequest) -> ModelVersion:
    """Check a model and register it as a version; the same files give the same version again.

    The champion does not change. Raises AdoptionError when the model cannot be opened, cannot
    answer rows of this table, or could not be opened by a server.
    """
    dataset = context.lake.dataset()
    if dataset is None:
        raise AdoptionError(
            f"{context.spec.name} has no rows yet, so there is no layout to ask a model with: drop "
            "a file first"
        )
    digest = _digest(*filter(None, (offer.model, offer.fitted)))
    model = _opened(offer.model)
    layout = context.lake.layout(dataset.version, context.lake.require_contract())
    examples = ExampleRows(dataset.version, Side.HOLDOUT, layout)
    manifest = manifest_of(context, examples, _FAMILY, offer.threshold)
    _require_answers(context, Bundle(manifest, model), dataset)
    _require_opens(model, manifest)
    tags = _audited(offer)
    keys = None if offer.fitted is None else _keys(context, offer.fitted)
    run_id = context.registry.adoptions.open(digest, tags)
    if keys is not None:
        tags |= {
            ORIGIN: Origin.ADOPTED_PROVED,
            FITTED_KEYS: context.registry.adoptions.keep_fitted_keys(run_id, FittedKeys(keys)),
        }
    requirements = [f"{name}=={number}" for name, number in manifest.libraries.items()]
    tags[TABLE] = context.lake.identity()
    return context.registry.versions.register(run_id, model, manifest, requirements, tags)


def _audited(offer: AdoptionRequest) -> dict[str, str]:
    return {
        ORIGIN: Origin.ADOPTED_UNPROVED,
        "ratchet.adopted_by": offer.by,
        "ratchet.adopted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "ratchet.adopted_from": str(offer.model),
        "ratchet.adopted_because": offer.reason,
    }


def _opened(path: Path) -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = open_model_file(path)
    if foreign := [str(warning.message) for warning in caught if "version" in str(warning.message)]:
        raise AdoptionError(
            f"{path} was written with other libraries than these: {foreign[0]}. Write it again "
            "with the versions of requirements.txt"
        )
    return model


def _require_answers(context: StepContext, bundle: Bundle, dataset: Dataset) -> None:
    """Raise AdoptionError unless the model answers some holdout rows as its problem wants."""
    layout = bundle.manifest.layout
    X, _ = context.lake.matrix(dataset.version, Side.HOLDOUT, layout)
    rows = X[:_TRIED_ROWS]
    try:
        wrong = problem_named(context.spec.problem).what_is_wrong(bundle.model, rows)
    except Exception as error:  # whatever somebody's own class raises
        raise AdoptionError(
            f"it cannot answer rows as they are here, {_described(layout)}: {error}"
        ) from error
    if wrong:
        raise AdoptionError(wrong)


def _require_opens(model: Any, manifest: Manifest) -> None:
    """Save and open the model as a server will; AdoptionError when that is refused."""
    with TemporaryDirectory() as folder:
        try:
            load(Path(folder), save(Path(folder), model, manifest))
        except BundleRefusedError as error:
            raise AdoptionError(
                f"no server would open it: {error}. What a model may be made of is what the "
                "estimators are made of that a spec may name"
            ) from error
        except Exception as error:  # a class that cannot be written is somebody else's
            raise AdoptionError(f"it cannot be written as a bundle: {error}") from error


def _described(layout: Layout) -> str:
    return f"{len(layout.features)} float32 columns in the order {', '.join(layout.features)}"


def _keys(context: StepContext, path: Path) -> pl.DataFrame:
    """Return the distinct row keys of a file: columns `key_high` and `key_low`, as in the lake.

    Raises AdoptionError when the file cannot be read or has a row that breaks the contract.
    """
    contract = context.lake.require_contract()
    keys, refused = [], 0
    try:
        with path.open("rb") as file:
            for part in ingest_stage.ingest(file, path.name, context.spec, contract).parts:
                keyed = dedup_stage.with_keys(part.frame, contract)
                keys.append(keyed.select(KEYS))
                refused += len(part.refused)
    except (FileRefusedError, OSError) as error:
        raise AdoptionError(f"{path}: {reason_of(error)}") from error
    if refused or not sum(frame.height for frame in keys):
        raise AdoptionError(
            f"{path} proves nothing: {refused} of its rows do not hold to the contract, so their "
            "keys are not known. Send rows as landing takes them"
        )
    return pl.concat(keys).unique()


def _digest(*paths: Path) -> str:
    """Return the SHA-256 of the bytes of several files, in hexadecimal digits."""
    digest = hashlib.sha256()
    try:
        for path in paths:
            digest.update(path.read_bytes())
    except OSError as error:
        raise AdoptionError(f"{error.filename} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def make_first_champion(context: StepContext, adopted: ModelVersion, by: str, reason: str) -> Move:
    """Make an adopted version the first champion; AdoptionError when there is a champion already.

    Asked again for the same version, it returns the move that was made before.
    """
    key = f"adoption of version {adopted.version}"
    wanted = Move(
        MoveKind.ADOPTION, adopted.version, key, by=by, reason=reason, made_in=adopted.run_id
    )
    try:
        return log_move(context.spec.model, context.registry.champion.move(wanted, None))
    except ChampionMovedError as error:
        raise AdoptionError(
            f"there is a champion by now, so it has to be judged: {error}"
        ) from error
