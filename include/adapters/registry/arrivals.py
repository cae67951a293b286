"""The MLflow run that holds the champion's scores on rows as they arrived."""

import time
from dataclasses import dataclass

from mlflow.entities import Metric

from include.adapters.registry.connection import Connection
from include.adapters.registry.experiment import SpecExperiment
from include.adapters.registry.tags import ARRIVALS, KIND, LEDGER, NOTE
from include.metrics import Figures
from include.records.judging import Scorecard

_NOTE = (
    "The champion scored on the rows of each batch when they came, before any model was fitted on "
    "them. The step is the data version of the batch. A fall is the first sign of drift."
)
_ROWS = "rows"


@dataclass(frozen=True)
class Arrivals:
    """The scores of the champion on the rows of each delivery, before any model knew them."""

    connection: Connection
    ledger: SpecExperiment

    def data_versions(self) -> set[int]:
        """Return the data versions whose new rows were scored on arrival."""
        run_id = self._run()
        return {point.step for point in self.connection.client.get_metric_history(run_id, _ROWS)}

    def log(self, card: Scorecard, figures: Figures) -> None:
        """Record figures of the champion on the rows that a data version added.

        All arrivals of a spec are metrics of one run, with the data version as their step.
        """
        now = time.time_ns() // 1_000_000
        own = {_ROWS: card.rows, "champion_version": int(card.model_version)}
        self.connection.client.log_batch(
            self._run(),
            metrics=[
                Metric(name, float(value), now, card.data_version)
                for name, value in {**figures, **own}.items()
            ],
        )

    def _run(self) -> str:
        tags = {ARRIVALS: self.connection.spec}
        found = self.ledger.run_with(tags)
        if found is not None:
            return str(found.info.run_id)
        said = {**tags, KIND: LEDGER, NOTE: _NOTE}
        run_id = self.ledger.new_run("champion on arrival", said)
        self.connection.client.set_terminated(run_id)
        return run_id
