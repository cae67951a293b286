"""The one place that reads the environment: where things are, on this machine or in a bucket.

Every `RATCHET_*` variable is named here, with the default that `make up` runs on. The stack hands
the same variables to every process it starts, so a task and the supervisor agree.
How to reach a bucket is read from the AWS_* variables that every S3 program knows.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from include.store.address import absolute
from include.store.units import MIB

PROJECT = Path(__file__).resolve().parent.parent
_GROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container reads its own limit, of version 2 and of version 1 of control groups."""
_AWS = (
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
)


@dataclass(frozen=True)
class Settings:
    """Folders and addresses of one stack."""

    home: Path
    """Everything the stack writes: RATCHET_HOME, `.ratchet` in the project by default."""
    landing: str
    """Where people drop files, a folder a spec: RATCHET_LANDING, a path or an s3:// URL, `landing`
    in the home by default."""
    lake_url: str
    """Tables, archive and quarantine, a folder a spec: RATCHET_LAKE, a path or an s3:// URL, `lake`
    in the home by default."""
    specs: Path
    """Where the model specs are: RATCHET_SPECS, `include/specs` by default."""
    host: str
    """Address the servers bind to: RATCHET_HOST, loopback by default."""
    airflow_port: int
    mlflow_port: int
    serving_port: int
    metrics_host: str
    """Address that the page for Prometheus is bound to: RATCHET_METRICS_HOST, loopback by
    default."""
    metrics_port: int
    cores: int
    """How many fits may run at once: RATCHET_CORES, the machine's cores by default."""
    fit_memory: int
    """How much of the train side a fit may hold as one float32 matrix, in MiB: RATCHET_FIT_MEMORY,
    half of the memory of the machine, or of its control group, by default. The other half is for
    what stands beside it while it is laid out and fitted."""
    registry: str
    """The MLflow server where it is not the stack's own on `mlflow_port`: RATCHET_MLFLOW_URL. Its
    account is read by MLflow's client, from MLFLOW_TRACKING_USERNAME and what belongs to it."""
    endpoint: str
    """The servers where they are not the stack's own on `serving_port`: RATCHET_SERVING_URL; every
    address that its host name stands for is a replica."""
    code: str
    """What identifies this code in MLflow: RATCHET_CODE_VERSION, git's words where it is empty."""
    patience: int = 10
    """For how many seconds a command of `./ratchet` waits for MLflow, a bucket or a disk that does
    not answer: RATCHET_PATIENCE, 10 by default."""
    serving_key: str = field(default="", repr=False)
    """What the pipeline asks the endpoint with: SERVING_API_KEY, which the server reads too."""
    s3: Mapping[str, str] = field(default_factory=dict, repr=False)
    """How to reach a bucket, in the words that obstore, deltalake and polars read."""

    @property
    def scratch(self) -> Path:
        """Where a bucket's files are while they are worked on."""
        return self.home / "scratch"

    def landing_url(self, name: str, stated: str | None = None) -> str:
        """Return where files of a spec land: as its file states, else its part of `landing`."""
        return absolute(stated) if stated else f"{self.landing}/{name}"

    @property
    def airflow_url(self) -> str:
        """Where Airflow's UI and API answer."""
        return f"http://{self.host}:{self.airflow_port}"

    @property
    def registry_url(self) -> str:
        """Where the MLflow server answers."""
        return self.registry or f"http://{self.host}:{self.mlflow_port}"

    @property
    def serving_url(self) -> str:
        """Where the champions answer."""
        return self.endpoint or f"http://{self.host}:{self.serving_port}"

    def environment(self) -> dict[str, str]:
        """Return the variables from which another process reads these same settings."""
        return {
            "RATCHET_HOME": str(self.home),
            "RATCHET_LANDING": self.landing,
            "RATCHET_LAKE": self.lake_url,
            "RATCHET_SPECS": str(self.specs),
            "RATCHET_HOST": self.host,
            "RATCHET_AIRFLOW_PORT": str(self.airflow_port),
            "RATCHET_MLFLOW_PORT": str(self.mlflow_port),
            "RATCHET_SERVING_PORT": str(self.serving_port),
            "RATCHET_METRICS_HOST": self.metrics_host,
            "RATCHET_METRICS_PORT": str(self.metrics_port),
            "RATCHET_CORES": str(self.cores),
            "RATCHET_FIT_MEMORY": str(self.fit_memory),
            "RATCHET_MLFLOW_URL": self.registry,
            "RATCHET_SERVING_URL": self.endpoint,
            "RATCHET_CODE_VERSION": self.code,
            "RATCHET_PATIENCE": str(self.patience),
            "SERVING_API_KEY": self.serving_key,
            **{name: self.s3[name] for name in _AWS if name in self.s3},
        }


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment; a value that is no number raises ValueError."""
    env = os.environ if environment is None else environment
    home = home_of(env)
    return Settings(
        home=home,
        landing=absolute(env.get("RATCHET_LANDING") or str(home / "landing")),
        lake_url=absolute(env.get("RATCHET_LAKE") or str(home / "lake")),
        specs=Path(env.get("RATCHET_SPECS") or PROJECT / "include" / "specs").absolute(),
        host=env.get("RATCHET_HOST") or "127.0.0.1",
        airflow_port=_number(env, "RATCHET_AIRFLOW_PORT", 8080),
        mlflow_port=_number(env, "RATCHET_MLFLOW_PORT", 5000),
        serving_port=_number(env, "RATCHET_SERVING_PORT", 8090),
        metrics_host=env.get("RATCHET_METRICS_HOST") or "127.0.0.1",
        metrics_port=_number(env, "RATCHET_METRICS_PORT", 9108),
        cores=_number(env, "RATCHET_CORES", os.cpu_count() or 1),
        fit_memory=_number(env, "RATCHET_FIT_MEMORY", _memory() // 2),
        registry=env.get("RATCHET_MLFLOW_URL", "").rstrip("/"),
        endpoint=env.get("RATCHET_SERVING_URL", "").rstrip("/"),
        code=env.get("RATCHET_CODE_VERSION", ""),
        patience=max(1, _number(env, "RATCHET_PATIENCE", 10)),
        serving_key=env.get("SERVING_API_KEY", ""),
        s3=s3_options(env),
    )


def home_of(environment: Mapping[str, str]) -> Path:
    """Return the folder of a stack: as the environment says, or its usual place."""
    return Path(environment.get("RATCHET_HOME") or PROJECT / ".ratchet").absolute()


def s3_options(stated: Mapping[str, str | None]) -> dict[str, str]:
    """Return how to reach a bucket, from variables or a connection by their AWS_* names.

    Empty values count as not stated. An http:// endpoint is allowed because it is stated.
    """
    found = {name: value for name in _AWS if (value := stated.get(name))}
    if default := stated.get("AWS_DEFAULT_REGION"):
        found.setdefault("AWS_REGION", default)
    if endpoint := found.get("AWS_ENDPOINT_URL"):
        # A server of one's own takes any region, but clients insist on one.
        found.setdefault("AWS_REGION", "us-east-1")
        if endpoint.startswith("http://"):
            found["AWS_ALLOW_HTTP"] = "true"
    # What keeps two writers of a table from overwriting each other's commit.
    return {**found, "aws_conditional_put": "etag"}


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal():
        raise ValueError(f"{name} is '{text}': it must be a whole number")
    return int(text)


def _memory() -> int:
    """Return the memory that processes of this machine, or of its control group, have, in MiB.

    All of it and not what is free now: a setting that moved with the load of the hour would fit the
    same data one way today and another way tomorrow.
    """
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in _GROUP_LIMITS:
        with suppress(OSError, ValueError):  # no such group, or one without a limit
            found.append(int(limit.read_text()))
    return min(found) // MIB


def code_version(settings: Settings) -> str:
    """Return what identifies this code: as set, else git's words, else `unknown`."""
    return settings.code or _git_commit()


def _git_commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    asked = [git, "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    return answer.stdout.strip() or "unknown"
