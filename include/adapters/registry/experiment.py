"""The two experiments of a spec in MLflow: finds, restores or creates one, and the runs in it.

Trainings, their candidates and adoptions are in the experiment that is called as the spec. The runs
`promotions` and `champion on arrival`, which are written to for years, have one of their own, the
ledger, so that a list of trainings is one whoever opens it. Release 0.1.0 had them among the
trainings: there they stay.
"""

import logging
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException

from include.adapters.registry.connection import Connection
from include.adapters.registry.healing import TAKEN, is_deleted
from include.adapters.registry.registered_model import RegisteredModel
from include.adapters.registry.tags import EXPERIMENT_KIND, LEDGER_OF, MOVES
from include.errors import TakenError
from include.text.showable import showable_values
from serving.bundle.registered import DIGEST_TAG, SPEC_TAG

log = logging.getLogger("ratchet")
_FEW = 20


class ExperimentContent(StrEnum):
    """What an experiment is for; the value is the tag that names its spec."""

    TRAININGS = SPEC_TAG
    LEDGER = LEDGER_OF


class SpecExperiment:
    """An experiment in which runs of a spec are."""

    def __init__(
        self,
        connection: Connection,
        model: RegisteredModel,
        trainings: "SpecExperiment | None" = None,
    ) -> None:
        """`model` tells of runs in it, by which a renamed experiment is found.

        With `trainings` it is the ledger, whose runs are looked for there too.
        """
        self._client = connection.client
        self._spec = connection.spec
        self._model = model
        self._trainings = trainings
        self._content = ExperimentContent.LEDGER if trainings else ExperimentContent.TRAININGS
        self.name = f"{self._spec} ledger" if trainings else self._spec
        self._told_name = ""

    def id(self) -> str:
        """Return the id of the spec's experiment, which is created when there is none."""
        found = self.known() or self._created()
        if found.name not in {self.name, self._told_name}:
            self._told_name = found.name  # once for all that a task asks
            log.warning(
                "experiment %s is called %s in MLflow: runs go on there", self.name, found.name
            )
        owner = found.tags.get(self._content)
        if owner not in {None, self._spec}:
            raise TakenError(
                f"experiment {self.name} in MLflow is that of spec {owner}: rename it there, or, "
                f"if {self._spec} is to go on with it, set its tag {self._content} to {self._spec}"
            )
        place = str(found.experiment_id)
        self._client.restored(found)
        if owner is None:  # made by hand, or by a release that did not tag it
            self._client.set_experiment_tag(place, self._content, self._spec)
        for key, value in EXPERIMENT_KIND.items():
            if key not in found.tags:
                self._client.set_experiment_tag(place, key, value)
        return place

    def known(self) -> Experiment | None:
        """Return the experiment by its name, else by its tag, else by a run that must be in it.

        None when there is none. A deleted experiment with another name is used only when nothing
        else matches.
        """
        found = self._client.get_experiment_by_name(self.name)
        if found is not None:
            return found
        tagged = self._client.search_experiments(
            view_type=ViewType.ALL, filter_string=f"tags.`{self._content}` = '{self._spec}'"
        )
        return min(tagged, key=is_deleted, default=None) or self._by_its_runs()

    def new_run(self, name: str, tags: Mapping[str, Any]) -> str:
        """Create a run in the experiment and return its id."""
        run = self._client.create_run(self.id(), run_name=name, tags=showable_values({**tags}))
        return str(run.info.run_id)

    def run_with(self, tags: Mapping[str, str]) -> Run | None:
        """Return the newest run with these tags, restored if it was deleted; None without one."""
        condition = " and ".join(f"tags.`{key}` = '{tags[key]}'" for key in tags)
        found = self.runs(condition, ViewType.ALL)
        run = min(found, key=lambda item: is_deleted(item.info), default=None)
        if run is not None and is_deleted(run.info):
            return self._client.active_run(run.info.run_id)
        return run

    def runs(self, condition: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
        """Return the newest runs that meet a condition, the newest first, 20 at most."""
        newest, places = ["attributes.start_time DESC"], self._places()
        if not places:
            return []
        return list(self._client.search_runs(places, condition, view, _FEW, newest))

    def _places(self) -> list[str]:
        """Return the ids of the experiments in which its runs may be."""
        if self._trainings is None:
            return [self.id()]
        known = (self.known(), self._trainings.known())
        return [str(one.experiment_id) for one in known if one is not None]

    def _by_its_runs(self) -> Experiment | None:
        """Return an experiment without tags by a run that the registered model names.

        That run is the newest version's for trainings, and for the ledger the log of moves unless
        that is among the trainings.
        """
        of_trainings, of_the_log = self._place_of_trainings(), self._place_of_the_log()
        if self._trainings is None:
            place = of_trainings or of_the_log
        else:
            place = "" if of_the_log == of_trainings else of_the_log
        found = self._client.get_experiment(place) if place else None
        is_taken = found is None or any(content in found.tags for content in ExperimentContent)
        return None if is_taken else found

    def _place_of_trainings(self) -> str:
        ours = [one for one in self._model.versions() if DIGEST_TAG in one.tags and one.run_id]
        newest = max(ours, key=lambda version: int(version.version), default=None)
        run = None if newest is None else self._client.run_or_none(newest.run_id)
        return "" if run is None else str(run.info.experiment_id)

    def _place_of_the_log(self) -> str:
        run = self._log()
        is_its = run is not None and run.data.tags.get(MOVES) == self._spec
        return str(run.info.experiment_id) if run is not None and is_its else ""

    def _log(self) -> Run | None:
        model = self._model.record()
        return None if model is None else self._client.run_or_none(model.tags.get(MOVES, ""))

    def _created(self) -> Experiment:
        # A model of 0.1.0 has its log among the trainings, and no ledger yet.
        is_first = self._trainings is not None and self._log() is not None
        if self._model.record() is not None and not is_first:
            log.warning(
                "MLflow has no experiment %s, although %s is registered: a new one begins, and "
                "what earlier runs recorded is not in it",
                self.name,
                self._model.name,
            )
        try:
            tags = {str(self._content): self._spec, **EXPERIMENT_KIND}
            self._client.create_experiment(self.name, tags=tags)
        except MlflowException as error:
            if error.error_code != TAKEN:
                raise
        return self._client.get_experiment_by_name(self.name)
