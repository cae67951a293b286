"""The experiment of a spec in MLflow: finds, restores or creates it, and the runs in it."""

import logging
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException

from include.adapters.registry.connection import Connection
from include.adapters.registry.healing import TAKEN, is_deleted
from include.adapters.registry.registered_model import RegisteredModel
from include.adapters.registry.tags import EXPERIMENT_KIND, MOVES, SPEC
from include.errors import TakenError
from include.text.showable import showable_values

log = logging.getLogger("ratchet")
_FEW = 20


class SpecExperiment:
    """The experiment in which the runs of a spec are."""

    def __init__(self, connection: Connection, model: RegisteredModel) -> None:
        """`model` tells where the log of moves is, by which a renamed experiment is found."""
        self._client = connection.client
        self._spec = connection.spec
        self._model = model
        self._told_name = ""

    def id(self) -> str:
        """Return the id of the spec's experiment, which is created when there is none."""
        found = self.known() or self._created()
        if found.name not in {self._spec, self._told_name}:
            self._told_name = found.name  # once for all that a task asks
            log.warning(
                "experiment %s is called %s in MLflow: runs go on there", self._spec, found.name
            )
        owner = found.tags.get(SPEC)
        if owner not in {None, self._spec}:
            raise TakenError(
                f"experiment {self._spec} in MLflow is that of spec {owner}: rename it there, or, "
                f"if {self._spec} is to go on with it, set its tag {SPEC} to {self._spec}"
            )
        place = str(found.experiment_id)
        self._client.restored(found)
        if owner is None:  # made by hand, or by a release that did not tag it
            self._client.set_experiment_tag(place, SPEC, self._spec)
        for key, value in EXPERIMENT_KIND.items():
            if key not in found.tags:
                self._client.set_experiment_tag(place, key, value)
        return place

    def known(self) -> Experiment | None:
        """Return the experiment by its name, else by its tag, else by the run of the log of moves.

        None when there is none. A deleted experiment with another name is used only when nothing
        else matches.
        """
        found = self._client.get_experiment_by_name(self._spec)
        if found is not None:
            return found
        tagged = self._client.search_experiments(
            view_type=ViewType.ALL, filter_string=f"tags.`{SPEC}` = '{self._spec}'"
        )
        return min(tagged, key=is_deleted, default=None) or self._of_the_log()

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
        newest = ["attributes.start_time DESC"]
        return list(self._client.search_runs([self.id()], condition, view, _FEW, newest))

    def _of_the_log(self) -> Experiment | None:
        """Return the experiment of the run that holds this spec's log of moves."""
        model = self._model.record()
        run = self._client.run_or_none(model.tags.get(MOVES, "")) if model is not None else None
        if run is None or run.data.tags.get(MOVES) != self._spec:
            return None
        return self._client.get_experiment(run.info.experiment_id)

    def _created(self) -> Experiment:
        if self._model.record() is not None:
            log.warning(
                "MLflow has no experiment %s, although %s is registered: a new one begins, and "
                "what earlier runs recorded is not in it",
                self._spec,
                self._model.name,
            )
        try:
            tags = {SPEC: self._spec, **EXPERIMENT_KIND}
            self._client.create_experiment(self._spec, tags=tags)
        except MlflowException as error:
            if error.error_code != TAKEN:
                raise
        return self._client.get_experiment_by_name(self._spec)
