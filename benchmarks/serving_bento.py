"""The model as a BentoML service with batching; runs in BentoML's own environment."""

import os

import bentoml
import numpy as np
from xgboost import XGBClassifier


@bentoml.service(workers=1)
class Scorer:
    """Batches up to 64 requests, as the other servers do."""

    def __init__(self) -> None:
        """Open XGBoost's own file."""
        self._model = XGBClassifier(n_jobs=1)
        self._model.load_model(os.environ["MODEL_FILE"])

    @bentoml.api(batchable=True, max_batch_size=6400, max_latency_ms=1000)  # type: ignore[untyped-decorator]
    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return the probability of the positive class for each row."""
        probability: np.ndarray = self._model.predict_proba(rows.astype(np.float32))[:, 1]
        return probability
