"""The model behind LitServe with batching of 64 requests; runs in LitServe's own environment."""

import os
from typing import Any

import litserve
import numpy as np
from xgboost import XGBClassifier


class Scorer(litserve.LitAPI):  # type: ignore[misc] # mypy does not see into its environment
    """Scores the rows of a whole batch of requests in one call."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's own signature
        """Open XGBoost's own file."""
        self._model = XGBClassifier(n_jobs=1)
        self._model.load_model(os.environ["MODEL_FILE"])

    def decode_request(self, request: dict[str, Any]) -> np.ndarray:
        """Return the rows of one request."""
        return np.array(request["rows"], dtype=np.float32)

    def batch(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Keep the requests apart: they differ in rows."""
        return inputs

    def predict(self, x: list[np.ndarray]) -> list[list[float]]:
        """Return the probabilities of each request."""
        scores = self._model.predict_proba(np.concatenate(x))[:, 1]
        return [part.tolist() for part in np.split(scores, np.cumsum([len(one) for one in x])[:-1])]

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        """Return them as they are."""
        return output

    def encode_response(self, output: list[float]) -> dict[str, list[float]]:
        """Return one answer."""
        return {"probability": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        Scorer(max_batch_size=64, batch_timeout=0.005), accelerator="cpu", workers_per_device=1
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        generate_client_file=False,
        log_level="warning",
    )
