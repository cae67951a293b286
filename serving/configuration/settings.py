"""The one place of the server that reads the environment and MLServer's files.

What an environment variable says wins over what a file says, and that over the default. Whatever
cannot be used raises ValueError with one sentence that names where it stands.
"""

import base64
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from serving.configuration import setting_values as values
from serving.configuration.mlserver_files import NOTHING, MLServerFiles, read_files
from serving.configuration.setting_sources import SettingSources

_USERNAME = "MLFLOW_TRACKING_USERNAME"
_PASSWORD = "MLFLOW_TRACKING_PASSWORD"  # noqa: S105 - a name
_TOKEN = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - a name


@dataclass(frozen=True)
class Batching:
    """How requests for one model are put together."""

    max_batch_size: int
    """Most requests that are predicted together; 1 puts none together."""
    max_batch_time: float
    """Most seconds that a request waits for others; 0: only what is waiting goes together."""


@dataclass(frozen=True)
class RequestLogSettings:
    """Where answered requests are kept, and what that may cost."""

    place: str
    """A folder or `s3://BUCKET/PREFIX`."""
    sample: float
    """Share of requests that are kept, above 0 to 1."""
    seconds: float
    """A row is written at most this much later, while the place takes it."""
    limit_bytes: int
    """Most memory of rows that are not written yet; what does not fit is dropped."""


@dataclass(frozen=True)
class ConnectionSettings:
    """What connections may take, in one process; each field names its variable."""

    most: int | None
    """Open at the same time: SERVING_CONNECTION_LIMIT; None: what the system allows."""
    most_of_a_client: int | None
    """SERVING_CLIENT_CONNECTION_LIMIT; None: three quarters of them."""
    trusted_proxies: tuple[values.Network, ...]
    """Hosts whose X-Forwarded-For is believed: SERVING_TRUSTED_PROXIES."""
    head_bytes: int
    """Of a request before its body: SERVING_HEADER_LIMIT_KIB."""
    head_seconds: float
    """From a request's first byte to its body: SERVING_HEADER_SECONDS."""
    body_seconds: float
    """To the end of its body, and for an answer to be taken: SERVING_BODY_SECONDS."""
    idle_seconds: float
    """Between two requests: SERVING_IDLE_SECONDS."""


@dataclass(frozen=True)
class Settings:
    """All that an operator can say; every field names its variable."""

    host: str
    """Address to bind: SERVING_HOST."""
    port: int
    """SERVING_PORT."""
    grpc_port: int
    """SERVING_GRPC_PORT; 0: no gRPC."""
    registry_url: str
    """The MLflow tracking server: SERVING_REGISTRY_URL."""
    registry_authorization: str | None = field(repr=False)
    """What it is told of who asks: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, else
    MLFLOW_TRACKING_TOKEN, as an Authorization header; None: nothing."""
    home: Path
    """Folder for downloaded bundles: SERVING_HOME. What is in it survives a restart."""
    poll_seconds: float
    """Pause between two looks at the registry: SERVING_POLL_SECONDS."""
    model_limit_bytes: int
    """Of one model's file; a larger one is not downloaded: SERVING_MODEL_LIMIT_MIB."""
    workers: int
    """Server processes that share the ports: SERVING_WORKERS."""
    worker: int | None
    """Which of them this is, from 0: SERVING_WORKER, set by the parent; None without others."""
    default_batching: Batching
    """SERVING_MAX_BATCH_SIZE and SERVING_MAX_BATCH_TIME, for models that no file names."""
    model_batching: Mapping[str, Batching]
    """What `model-settings.json` says, by model name."""
    max_batch_rows: int
    """Most rows that are predicted together: SERVING_MAX_BATCH_ROWS."""
    max_rows: int
    """Most rows of one request: SERVING_MAX_ROWS."""
    body_limit_bytes: int
    """Of one request: SERVING_BODY_LIMIT_MIB."""
    connections: ConnectionSettings
    """Who may be connected, and for how long."""
    queue_limit: int
    """Most requests that wait to be predicted: SERVING_QUEUE_LIMIT."""
    deadline_seconds: float
    """A request that waits longer is given up: SERVING_DEADLINE_SECONDS."""
    drain_seconds: float
    """From "not ready" to the end of listening: SERVING_DRAIN_SECONDS."""
    canary_share: float
    """Share of the champion's requests that the canary answers: SERVING_CANARY_SHARE."""
    api_key: str | None = field(repr=False)
    """SERVING_API_KEY."""
    api_keys_file: Path | None
    """SERVING_API_KEYS_FILE."""
    webhook_secret: str | None = field(repr=False)
    """What MLflow signs its webhooks with: SERVING_WEBHOOK_SECRET; None: none are listened to."""
    request_log: RequestLogSettings | None
    """SERVING_REQUEST_LOG and what begins with it; None: nothing is kept."""
    metrics_endpoint: str | None
    """Path of the Prometheus page: SERVING_METRICS_ENDPOINT; None: there is none."""
    log_format: str
    """"text" or "json": SERVING_LOG."""
    debug: bool
    """Log refused requests too: SERVING_DEBUG."""
    otlp_endpoint: str | None
    """Where spans go: OTEL_EXPORTER_OTLP_ENDPOINT; None: there are none."""
    notes: tuple[str, ...] = ()
    """A sentence for each thing in MLServer's files that means nothing here."""

    def batching(self, name: str) -> Batching:
        """Return how requests for this model are put together."""
        return self.model_batching.get(name, self.default_batching)


def read_settings(
    environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Settings:
    """Read the environment, and MLServer's files below a folder where one is given."""
    env = os.environ if environment is None else environment
    files = NOTHING if folder is None else read_files(folder)
    settings = _settings(SettingSources(env, files), files)
    _require_keys_beyond_loopback(settings)
    _require_ports(settings)
    return settings


def _settings(said: SettingSources, files: MLServerFiles) -> Settings:
    port = said.value("SERVING_PORT", "8090", values.port)
    return Settings(
        host=said.text("SERVING_HOST") or "127.0.0.1",
        port=port,
        grpc_port=said.value("SERVING_GRPC_PORT", str(_next(port)), values.port),
        registry_url=_registry_url(said),
        registry_authorization=_registry_authorization(said),
        home=Path(said.text("SERVING_HOME") or ".ratchet/serving").absolute(),
        poll_seconds=said.value("SERVING_POLL_SECONDS", "1.0", values.above_zero),
        model_limit_bytes=said.value("SERVING_MODEL_LIMIT_MIB", "2048", values.mebibytes),
        workers=max(1, said.value("SERVING_WORKERS", "1", values.whole_number)),
        worker=said.optional("SERVING_WORKER", values.whole_number),
        default_batching=_batching(said),
        model_batching=_model_batching(said, files),
        max_batch_rows=said.value("SERVING_MAX_BATCH_ROWS", "4096", values.positive_number),
        max_rows=said.value("SERVING_MAX_ROWS", "10000", values.positive_number),
        body_limit_bytes=said.value("SERVING_BODY_LIMIT_MIB", "32", values.mebibytes),
        connections=_connections(said),
        queue_limit=said.value("SERVING_QUEUE_LIMIT", "1024", values.positive_number),
        deadline_seconds=said.value("SERVING_DEADLINE_SECONDS", "5.0", values.above_zero),
        drain_seconds=said.value("SERVING_DRAIN_SECONDS", "1.0", values.drain),
        canary_share=said.value("SERVING_CANARY_SHARE", "0.1", values.share),
        api_key=said.text("SERVING_API_KEY"),
        api_keys_file=said.optional("SERVING_API_KEYS_FILE", values.path),
        webhook_secret=said.text("SERVING_WEBHOOK_SECRET"),
        request_log=_request_log(said),
        metrics_endpoint=said.value("SERVING_METRICS_ENDPOINT", "/metrics", values.endpoint),
        log_format=said.value("SERVING_LOG", "text", values.log_format),
        debug=said.value("SERVING_DEBUG", "false", values.flag),
        otlp_endpoint=said.text("OTEL_EXPORTER_OTLP_ENDPOINT"),
        notes=files.notes,
    )


def _registry_url(said: SettingSources) -> str:
    url = (said.text("SERVING_REGISTRY_URL") or "http://127.0.0.1:5000").rstrip("/")
    if "@" in urlsplit(url).netloc:
        # The address is logged and told to whoever asks for readiness.
        raise ValueError(
            "SERVING_REGISTRY_URL holds a user or a password, which would be shown with it: "
            f"set {_USERNAME} and {_PASSWORD} instead"
        )
    return url


def _registry_authorization(said: SettingSources) -> str | None:
    """Return the header as MLflow's own client makes it: an account comes before a token."""
    username, password = said.in_environment(_USERNAME), said.in_environment(_PASSWORD)
    if username and password:
        return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
    if username or password:
        given, missing = (_USERNAME, _PASSWORD) if username else (_PASSWORD, _USERNAME)
        raise ValueError(f"{given} is set and {missing} is not: set both, or {_TOKEN} alone")
    token = said.in_environment(_TOKEN)
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise ValueError(f"{_TOKEN} holds a space, a line break or a letter that no token has")
    return f"Bearer {token}" if token else None


def _batching(said: SettingSources) -> Batching:
    return Batching(
        said.value("SERVING_MAX_BATCH_SIZE", "64", values.batch_size),
        said.value("SERVING_MAX_BATCH_TIME", "0", values.seconds_from_zero),
    )


def _model_batching(said: SettingSources, files: MLServerFiles) -> Mapping[str, Batching]:
    size = said.in_environment("SERVING_MAX_BATCH_SIZE")
    wait = said.in_environment("SERVING_MAX_BATCH_TIME")
    return MappingProxyType(
        {
            one.name: Batching(
                values.read_value(
                    one.place("max_batch_size"), size or one.max_batch_size, values.batch_size
                ),
                values.read_value(
                    one.place("max_batch_time"),
                    wait or one.max_batch_time,
                    values.seconds_from_zero,
                ),
            )
            for one in files.models
        }
    )


def _connections(said: SettingSources) -> ConnectionSettings:
    return ConnectionSettings(
        most=said.optional("SERVING_CONNECTION_LIMIT", values.positive_number),
        most_of_a_client=said.optional("SERVING_CLIENT_CONNECTION_LIMIT", values.positive_number),
        trusted_proxies=said.optional("SERVING_TRUSTED_PROXIES", values.networks) or (),
        head_bytes=said.value("SERVING_HEADER_LIMIT_KIB", "32", values.kibibytes),
        head_seconds=said.value("SERVING_HEADER_SECONDS", "10", values.above_zero),
        body_seconds=said.value("SERVING_BODY_SECONDS", "30", values.above_zero),
        idle_seconds=said.value("SERVING_IDLE_SECONDS", "75", values.above_zero),
    )


def _request_log(said: SettingSources) -> RequestLogSettings | None:
    read = {
        "sample": said.value("SERVING_REQUEST_LOG_SAMPLE", "1.0", values.sample),
        "seconds": said.value("SERVING_REQUEST_LOG_SECONDS", "60", values.above_zero),
    }
    limit = said.value("SERVING_REQUEST_LOG_MIB", "64", values.mebibytes)
    place = said.text("SERVING_REQUEST_LOG")
    return None if place is None else RequestLogSettings(place, limit_bytes=limit, **read)


def _require_keys_beyond_loopback(settings: Settings) -> None:
    if settings.api_key or settings.api_keys_file or _is_loopback(settings.host):
        return
    raise ValueError(
        f"SERVING_HOST is '{settings.host}', which others can reach, and there is no API key: set "
        "SERVING_API_KEYS_FILE or SERVING_API_KEY, or bind 127.0.0.1"
    )


def _require_ports(settings: Settings) -> None:
    port = settings.port
    if port == settings.grpc_port != 0:
        raise ValueError(f"SERVING_PORT and SERVING_GRPC_PORT are both {port}: they must differ")
    if port == 0 and settings.workers > 1:
        raise ValueError("SERVING_PORT is 0, which gives each worker another port: choose one")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _next(port: int) -> int:
    return port + 1 if 0 < port < 2**16 - 1 else 0
