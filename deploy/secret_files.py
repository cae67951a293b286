"""`make secrets`: draw every password and key of a deployment into files that git never sees.

Each container is handed the files it needs and no other. What is there already stays, so running it
again after a new release only adds what that release needs. Nothing but the standard library, for
it runs before anything is installed.
"""

import base64
import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(".secrets")
PEOPLE = ("admin", "operator", "viewer")
"""Airflow's accounts, by what they may do."""
_DRAWN = "drawn.json"
_KEYS_HEADER = "# One key a line. The server reads this file again when it changes.\n"


def draw(folder: Path) -> list[str]:
    """Write all files; return the names of those that were not there before.

    The folder is for its owner alone. Its files can be read by anyone who gets past the folder,
    which is how a container's own user reads the one that is mounted for it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    drawn = _drawn(folder / _DRAWN)
    files = {**_databases(drawn), **_airflow(drawn), **_stores(drawn), **_models(drawn)}
    files |= {"people.txt": _people(drawn)}
    new = [name for name in files if not (folder / name).exists()]
    for name, text in files.items():
        # An operator adds keys of clients to this file.
        if name != "api-keys" or name in new:
            (folder / name).write_text(text)
    return new


def _drawn(path: Path) -> Callable[[str], str]:
    """Return what names a secret: the same name is the same secret, now and at the next call."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def secret(name: str) -> str:
        if name not in known:
            known[name] = secrets.token_urlsafe(24)
            path.touch(mode=0o600)
            path.write_text(json.dumps(known, indent=1))
        return known[name]

    return secret


def _databases(drawn: Callable[[str], str]) -> dict[str, str]:
    airflow = f"airflow:{drawn('airflow database')}@postgres/airflow"
    mlflow = f"mlflow:{drawn('mlflow database')}@postgres"
    return {
        "postgres.env": _env(
            POSTGRES_PASSWORD=drawn("postgres"),
            AIRFLOW_PASSWORD=drawn("airflow database"),
            CELERY_PASSWORD=drawn("celery database"),
            MLFLOW_PASSWORD=drawn("mlflow database"),
        ),
        "airflow-database.env": _env(
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"postgresql+psycopg2://{airflow}",
        ),
        "mlflow-database.env": _env(
            MLFLOW_BACKEND_STORE_URI=f"postgresql+psycopg2://{mlflow}/mlflow",
            MLFLOW_AUTH_DATABASE_URI=f"postgresql+psycopg2://{mlflow}/mlflow_auth",
        ),
    }


def _airflow(drawn: Callable[[str], str]) -> dict[str, str]:
    celery = f"celery:{drawn('celery database')}@postgres/celery"
    return {
        "redis.conf": f'requirepass {drawn("redis")}\nsave ""\nappendonly no\n',
        "airflow-queue.env": _env(
            AIRFLOW__CELERY__BROKER_URL=f"redis://:{drawn('redis')}@redis:6379/0",
            AIRFLOW__CELERY__RESULT_BACKEND=f"db+postgresql+psycopg2://{celery}",
        ),
        "airflow.env": _env(
            AIRFLOW__CORE__FERNET_KEY=_fernet(drawn("airflow fernet")),
            AIRFLOW__API__SECRET_KEY=drawn("airflow sessions"),
            AIRFLOW__API_AUTH__JWT_SECRET=drawn("airflow tokens"),
        ),
        "airflow-people.env": _env(
            **{f"{name.upper()}_PASSWORD": drawn(f"airflow {name}") for name in PEOPLE}
        ),
    }


def _stores(drawn: Callable[[str], str]) -> dict[str, str]:
    return {
        "objects.json": json.dumps(
            {
                "identities": [
                    _identity("owner", drawn, ["Admin"]),
                    _identity("pipeline", drawn, [*_all_of("landing"), *_all_of("lake")]),
                    _identity("mlflow", drawn, _all_of("mlflow")),
                    _identity("exporter", drawn, [*_read("landing"), *_read("lake")]),
                ]
            },
            indent=1,
        ),
        "objects-owner.env": _bucket("owner", drawn),
        "pipeline-objects.env": _bucket("pipeline", drawn),
        "mlflow-objects.env": _bucket("mlflow", drawn),
        "exporter-objects.env": _bucket("exporter", drawn),
    }


def _models(drawn: Callable[[str], str]) -> dict[str, str]:
    return {
        "mlflow.env": _env(MLFLOW_FLASK_SERVER_SECRET_KEY=drawn("mlflow sessions")),
        "mlflow-accounts.env": _env(
            MLFLOW_AUTH_ADMIN_PASSWORD=drawn("mlflow admin"),
            PIPELINE_PASSWORD=drawn("mlflow pipeline"),
            SERVING_PASSWORD=drawn("mlflow serving"),
            VIEWER_PASSWORD=drawn("mlflow viewer"),
        ),
        "pipeline.env": _env(
            MLFLOW_TRACKING_USERNAME="pipeline",
            MLFLOW_TRACKING_PASSWORD=drawn("mlflow pipeline"),
            SERVING_API_KEY=drawn("api key of the pipeline"),
        ),
        "serving.env": _env(
            MLFLOW_TRACKING_USERNAME="serving",
            MLFLOW_TRACKING_PASSWORD=drawn("mlflow serving"),
            SERVING_API_KEY=drawn("api key of the pipeline"),
        ),
        "exporter.env": _env(
            MLFLOW_TRACKING_USERNAME="viewer",
            MLFLOW_TRACKING_PASSWORD=drawn("mlflow viewer"),
        ),
        "api-keys": (
            f"{_KEYS_HEADER}{drawn('api key of the scraper')}\n{drawn('api key of callers')}\n"
        ),
        "metrics-key": drawn("api key of the scraper"),
        "grafana-password": drawn("grafana"),
    }


def _people(drawn: Callable[[str], str]) -> str:
    airflow = "".join(f"  {name:<9} {drawn(f'airflow {name}')}\n" for name in PEOPLE)
    return (
        f"Airflow\n{airflow}"
        f"MLflow\n  admin     {drawn('mlflow admin')}\n  viewer    {drawn('mlflow viewer')}\n"
        f"Endpoint, as `Authorization: Bearer KEY`\n  key       {drawn('api key of callers')}\n"
    )


def _identity(name: str, drawn: Callable[[str], str], actions: list[str]) -> dict[str, object]:
    pair = {"accessKey": name, "secretKey": drawn(f"objects {name}")}
    return {"name": name, "credentials": [pair], "actions": actions}


def _all_of(bucket: str) -> list[str]:
    return [*_read(bucket), f"Write:{bucket}", f"Tagging:{bucket}"]


def _read(bucket: str) -> list[str]:
    return [f"Read:{bucket}", f"List:{bucket}"]


def _bucket(name: str, drawn: Callable[[str], str]) -> str:
    secret = drawn(f"objects {name}")
    return _env(AWS_ACCESS_KEY_ID=name, AWS_SECRET_ACCESS_KEY=secret)


def _env(**values: str) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _fernet(secret: str) -> str:
    """Return 32 bytes in the alphabet that a Fernet key is written in."""
    return base64.urlsafe_b64encode(secret.encode()[:32].ljust(32, b"=")).decode()


def main() -> int:
    """Draw what is missing and say where people find their passwords."""
    new = draw(FOLDER)
    told = f"{len(new)} new files" if new else "nothing new"
    sys.stdout.write(f"{told} in {FOLDER}/; the passwords of people are in {FOLDER}/people.txt\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
