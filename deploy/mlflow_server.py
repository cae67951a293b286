"""Become the MLflow server with accounts: its settings for them are written where only it looks.

MLflow reads the address of its database of accounts from a file and from nowhere else, so the file
is made in this container's memory from what the environment says.
"""

import os
import sys
from pathlib import Path

_ACCOUNTS = """[mlflow]
default_permission = READ
admin_username = admin
database_uri = {database}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
# A password is hashed slowly on purpose; checked once a minute and not at every request.
auth_cache_ttl_seconds = 60
"""


def main() -> None:
    """Write the settings and replace this process with the server."""
    settings = Path(os.environ["MLFLOW_AUTH_CONFIG_PATH"])
    settings.touch(mode=0o600)
    settings.write_text(_ACCOUNTS.format(database=os.environ["MLFLOW_AUTH_DATABASE_URI"]))
    arguments = {
        "--app-name": "basic-auth",
        "--host": "0.0.0.0",  # noqa: S104 - inside its container
        "--port": "5000",
        "--workers": "1",
        "--artifacts-destination": os.environ["MLFLOW_ARTIFACTS_DESTINATION"],
        "--allowed-hosts": os.environ["RATCHET_MLFLOW_HOSTS"],
    }
    flat = [text for pair in arguments.items() for text in pair]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *flat])  # noqa: S606


if __name__ == "__main__":
    main()
