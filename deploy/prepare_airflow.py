"""Make Airflow's database fit this release, with people and the pool of fits. Runs once a start.

One process for all of it: each of Airflow's own commands takes seconds to import.
"""

import os
import sys

from airflow.configuration import conf
from airflow.models.pool import Pool
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.db import upgradedb
from airflow.utils.session import create_session

from deploy.secret_files import PEOPLE

_ROLES = {"admin": "Admin", "operator": "Op", "viewer": "Viewer"}
_POOL = "training"
_SLOTS = 128
"""More than workers have: their own slots bound the fits, whatever their number is scaled to."""


def main() -> int:
    """Migrate, then make people and pool what they should be."""
    upgradedb()
    with create_session() as session:
        Pool.create_or_update_pool(
            _POOL, slots=_SLOTS, description="Fits", include_deferred=False, session=session
        )
    _people()
    sys.stdout.write(f"{conf.get('core', 'executor')}: database, pool and people are ready\n")
    return 0


def _people() -> None:
    with get_application_builder() as builder:
        security = builder.sm
        for name in PEOPLE:
            password = os.environ[f"{name.upper()}_PASSWORD"]
            known = security.find_user(username=name)
            if known:
                security.reset_password(known.id, password)
            else:
                role = security.find_role(_ROLES[name])
                mail = f"{name}@localhost"
                if not security.add_user(name, name, "of this stack", mail, role, password):
                    raise SystemExit(f"Airflow did not make the account {name}: see the log above")


if __name__ == "__main__":
    sys.exit(main())
