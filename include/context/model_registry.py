"""What steps ask of the registry of models, part by part, whoever keeps it.

`include.adapters.registry` keeps it in MLflow, and `tests.registry_in_memory` in this process; one
suite of tests holds both to the same answers. What a method does in MLflow is said there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from matplotlib.figure import Figure

from include.metrics import Figures, Metric
from include.records.arrays import Probabilities
from include.records.data import Batch
from include.records.fitted_keys import FittedKeys
from include.records.judging import Decision, Scorecard, Scores
from include.records.models import ModelVersion
from include.records.moves import Move
from include.records.training import Trial
from serving.bundle import Bundle, Manifest


class RecordedRuns(Protocol):
    """One run for each training, and a nested one for each candidate."""

    def open(self, dag_run: str, data_version: int, tags: Mapping[str, str]) -> str:
        """Return the id of the run of a Dag run, created when there is none yet."""

    def require(self, run_id: str) -> None:
        """Raise GoneError when a run does not exist any more."""

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Record parameters, metrics and tags of a run."""

    def log_dataset(self, run_id: str, url: str, data_version: int) -> None:
        """Record the table and its version that a run trains on."""

    def log_batches(self, run_id: str, batches: Sequence[Batch]) -> None:
        """Record the batches that came for a run."""

    def log_trial(
        self, parent: str, trial: Trial, metric: Metric, probability: Probabilities | None = None
    ) -> str:
        """Record a candidate as a nested run, once, and return the run's id.

        Its values stand under the name of the metric.
        """

    def log_table(self, run_id: str, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record rows as a table."""

    def log_scorecard(self, run_id: str, contender: str, card: Scorecard) -> None:
        """Record a scorecard as metrics whose names begin with the contender's name."""

    def log_grounds(self, run_id: str, scores: Scores) -> None:
        """Record leak proofs, the number of looks at the holdout, and what bars a promotion."""

    def log_figures(self, run_id: str, figures: Mapping[str, Figure]) -> None:
        """Record figures, by name."""

    def log_page(self, run_id: str, page: str) -> None:
        """Record the decision page, which is HTML."""

    def describe(self, run_id: str, text: str) -> None:
        """Write the description of a run; a failure is only logged."""

    def figures(self, run_id: str) -> dict[str, bytes]:
        """Return the figures of a run as PNG files, by name; missing ones are left out."""

    def batches(self, run_id: str) -> tuple[Batch, ...]:
        """Return the batches that were recorded for a run; empty without any."""

    def metric(self, run_id: str, name: str) -> float | None:
        """Return a metric of a run; None when the run or the metric does not exist."""


class PageAddresses(Protocol):
    """Addresses of pages, for people."""

    def of_run(self, run_id: str) -> str:
        """Return the address of a run's page."""

    def of_trainings(self) -> str:
        """Return the address of the list of trainings."""

    def of_version(self, version: ModelVersion) -> str:
        """Return the address of a model version's page."""


class ScoredArrivals(Protocol):
    """The champion's scores on the rows of each delivery, before any model knew them."""

    def data_versions(self) -> set[int]:
        """Return the data versions whose new rows were scored on arrival."""

    def log(self, card: Scorecard, figures: Figures) -> None:
        """Record figures of the champion on the rows that a data version added."""


class ModelVersions(Protocol):
    """The versions of a registered model, with their bundles."""

    def register(
        self,
        run_id: str,
        model: Any,
        manifest: Manifest,
        requirements: Sequence[str],
        metadata: Mapping[str, str],
    ) -> ModelVersion:
        """Register the model of a run, once; NotOwnerError when another spec owns the name."""

    def made_in(self, run_id: str) -> ModelVersion | None:
        """Return the version that a run has registered; None when it has not."""

    def version_numbered(self, number: str) -> ModelVersion | None:
        """Return a version by its number; None when it was deleted."""

    def data_versions(self) -> set[int]:
        """Return the table versions that versions were fitted on."""

    def is_there(self, move: Move) -> bool:
        """Return whether the version that a move led to still exists and can be champion."""

    def bundle(self, version: ModelVersion) -> Bundle:
        """Return the verified bundle of a version; GoneError when the version was deleted."""


class AdoptedModels(Protocol):
    """Models from elsewhere: a run for each, and the keys of the rows it was fitted on."""

    def open(self, digest: str, tags: Mapping[str, str]) -> str:
        """Return the id of the run of an adoption, created when there is none yet."""

    def keep_fitted_keys(self, run_id: str, keys: FittedKeys) -> str:
        """Store the row keys that an adopted model was fitted on; return their digest."""

    def fitted_keys(self, version: ModelVersion) -> FittedKeys:
        """Return the stored row keys; ModelRefusedError when they were changed or are missing."""


class PutUpChallenger(Protocol):
    """The challenger that servers load beside the champion."""

    def put_up(self, challenger: ModelVersion) -> None:
        """Let every server load the version beside the champion."""

    def take_down(self, challenger: ModelVersion) -> None:
        """Undo that, unless another version was put up by now."""


class LoggedChampion(Protocol):
    """The champion by the log of moves."""

    def current(self) -> ModelVersion | None:
        """Return the champion; None while there is none."""

    def moves(self) -> tuple[Move, ...]:
        """Return every move of the champion, the oldest first."""

    def move(self, wanted: Move, expected: str | None) -> Move:
        """Make a version the champion and return the recorded move; the same key moves once.

        Raises ChampionMovedError when the champion is not the version `expected`, GoneError when
        the wanted version was deleted, NotOwnerError when another spec owns the model.
        """

    def opponent_of(self, challenger: ModelVersion) -> ModelVersion | None:
        """Return the champion that a challenger has to beat; None when there is none."""

    def reached_by(self, move: Move) -> ModelVersion | None:
        """Return the version that a move led to; None when it was deleted or has lost its tags."""


class RecordedDecisions(Protocol):
    """What was decided about challengers."""

    def log(self, run_id: str, version: ModelVersion, decision: Decision) -> None:
        """Record a decision in its run and on its version, and end the run."""

    def looks(self, challenger: ModelVersion, rows: int) -> int:
        """Return how many other challengers were judged on a holdout of at least half `rows`."""

    def newest_data_version(self, but_for: str) -> int | None:
        """Return the data version of the newest run with a decision, other than that Dag run's."""


class ModelOwner(Protocol):
    """Whose the registered model is."""

    def owner(self) -> str | None:
        """Return the name of the spec that owns the registered model; None while none does."""

    def owner_if_told(self) -> str | None:
        """Return the owner; None when the registry does not respond within seconds."""

    def require_owner(self) -> None:
        """Raise NotOwnerError when another spec owns the registered model."""

    def require_own(self, owner: str | None) -> None:
        """Raise NotOwnerError when `owner` is another spec; None is allowed."""

    def transfer(self, by: str) -> str | None:
        """Make this spec the owner; return the owner before. NothingToDoError without versions."""


class ModelRegistry(Protocol):
    """The registry of a spec's runs and models."""

    @property
    def runs(self) -> RecordedRuns:
        """Trainings and candidates."""

    @property
    def pages(self) -> PageAddresses:
        """Where people see them."""

    @property
    def arrivals(self) -> ScoredArrivals:
        """Scores on rows as they came."""

    @property
    def versions(self) -> ModelVersions:
        """Model versions and bundles."""

    @property
    def adoptions(self) -> AdoptedModels:
        """Models from elsewhere."""

    @property
    def challenger(self) -> PutUpChallenger:
        """The version that is tried beside the champion."""

    @property
    def champion(self) -> LoggedChampion:
        """The version that is served."""

    @property
    def decisions(self) -> RecordedDecisions:
        """Verdicts."""

    @property
    def ownership(self) -> ModelOwner:
        """The spec that may change all this."""
