"""MLflow in this process: its own store on SQLite, which its server asks too, without a server."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"


class MlflowStore:
    """A database and a folder of artifacts; MLflow's client asks them directly."""

    def __init__(self, home: Path) -> None:
        """Make both in a folder."""
        self.home = home
        self.url = f"sqlite:///{home}/mlflow.db"
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what MLflow 3.17 asks of SQLAlchemy
            from mlflow.tracking._model_registry.utils import _get_store as model_store
            from mlflow.tracking._tracking_service.utils import _get_store as run_store

            patch.setenv(_ARTIFACT_ROOT, str(home / "artifacts"))
            stores = run_store(self.url), model_store(self.url)
        for store in stores:
            _write_without_waiting(store.engine)


def _write_without_waiting(engine: Engine) -> None:
    """Let no write wait for the disk: nothing here outlives the process."""

    def opened(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(engine, "connect", opened)
    engine.dispose()
