"""Make MLflow's databases fit this release, with its accounts. Runs once a start.

`admin` may do everything, `pipeline` makes experiments and models and owns what it made, `serving`
and `viewer` have no grant of their own: they read, which is the default for everybody who logs in.
"""

import os
import sys

from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore as Accounts
from mlflow.store.db.utils import (
    _all_tables_exist,
    _initialize_tables,
    _upgrade_db,
    create_sqlalchemy_engine_with_retry,
)
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking


def main() -> int:
    """Migrate both databases, then give every account the password it should have."""
    url = os.environ["MLFLOW_BACKEND_STORE_URI"]
    engine = create_sqlalchemy_engine_with_retry(url)
    (_upgrade_db if _all_tables_exist(engine) else _initialize_tables)(engine)
    engine.dispose()
    Tracking(url, "mlflow-artifacts:/")  # makes the first experiment
    accounts = Accounts()
    accounts.init_db(os.environ["MLFLOW_AUTH_DATABASE_URI"])
    _account(accounts, "admin", os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"], is_admin=True)
    for name in ("pipeline", "serving", "viewer"):
        _account(accounts, name, os.environ[f"{name.upper()}_PASSWORD"], is_admin=False)
    sys.stdout.write("MLflow's databases and accounts are ready\n")
    return 0


def _account(accounts: Accounts, name: str, password: str, *, is_admin: bool) -> None:
    if accounts.has_user(name):
        accounts.update_user(name, password=password, is_admin=is_admin)
    else:
        accounts.create_user(name, password, is_admin=is_admin)


if __name__ == "__main__":
    sys.exit(main())
