"""`settings.json` and `model-settings.json` as MLServer's users wrote them.

Reads the fields of MLServer 1.7.1 (https://docs.seldon.ai/mlserver/reference/settings and
.../model-settings). What means something here is handed over under the name of this server's own
variable; what means nothing is named in one sentence and does no harm. As with MLServer, a value
may be a JSON value or the same in quotes.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

SETTINGS_FILE = "settings.json"
MODEL_FILE = "model-settings.json"

_OURS = {
    "host": "SERVING_HOST",
    "http_port": "SERVING_PORT",
    "grpc_port": "SERVING_GRPC_PORT",
    "parallel_workers": "SERVING_WORKERS",
    "metrics_endpoint": "SERVING_METRICS_ENDPOINT",
    "debug": "SERVING_DEBUG",
}
_WHY_NOT = {
    "cache_enabled": "every request is predicted anew",
    "cache_size": "every request is predicted anew",
    "cors_settings": "a browser on another site belongs behind your own gateway",
    "grpc_max_message_length": "SERVING_BODY_LIMIT_MIB holds for REST and gRPC",
    "gzip_enabled": "answers are short and are not packed",
    "implementation": "the server opens its own models, natively",
    "inputs": "the registry's model says what it takes",
    "kafka_enabled": "there is no Kafka here",
    "load_models_at_startup": "champions of the registry are always loaded",
    "logging_settings": "SERVING_LOG chooses text or json",
    "metrics_port": "metrics are a path of the HTTP port",
    "model_repository_root": "models come from the registry, SERVING_REGISTRY_URL",
    "outputs": "the registry's model says what it gives",
    "parallel_workers": "the server-wide parallel_workers counts",
    "parameters": "uri and version are the registry's to say, by alias",
    "platform": "the registry's model says what it is",
    "tracing_server": "OTEL_EXPORTER_OTLP_ENDPOINT turns spans on",
    "versions": "the bundle names its libraries",
}


@dataclass(frozen=True)
class ModelFile:
    """What one `model-settings.json` says that means something here."""

    path: Path
    name: str
    max_batch_size: str
    max_batch_time: str

    def place(self, name: str) -> str:
        """Return what an error calls a field of this file."""
        return f"{name} in {self.path}"


@dataclass(frozen=True)
class MLServerFiles:
    """What MLServer's files say, in the words of this server's variables."""

    server: Mapping[str, str]
    """Text by variable."""
    places: Mapping[str, str]
    """What an error calls each of them."""
    models: tuple[ModelFile, ...]
    notes: tuple[str, ...]
    """One sentence for each field that is left aside."""


NOTHING = MLServerFiles(MappingProxyType({}), MappingProxyType({}), (), ())


def read_files(folder: Path) -> MLServerFiles:
    """Read what is below a folder; ValueError when it is no folder or a file cannot be read."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: name the one that holds {SETTINGS_FILE}")
    path = folder / SETTINGS_FILE
    fields = _fields(path) if path.exists() else {}
    found = [(one, _fields(one)) for one in sorted(folder.rglob(MODEL_FILE))]
    models = tuple(_model(one, said) for one, said in found)
    _require_names_once(models)
    server = dict(_translated(fields))
    notes = [*_unknown(path, fields, {*_OURS, "use_structured_logging"})]
    for one, said in found:
        notes += _unknown(one, said, {"name", "max_batch_size", "max_batch_time"})
    places = {ours: f"{theirs} in {path}" for theirs, ours in _OURS.items() if ours in server}
    return MLServerFiles(MappingProxyType(server), MappingProxyType(places), models, tuple(notes))


def _translated(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for theirs, ours in _OURS.items():
        if theirs in fields:
            yield ours, _text(fields[theirs])
    # MLServer turns its metrics off with null, which says nothing anywhere else.
    if "metrics_endpoint" in fields and fields["metrics_endpoint"] is None:
        yield _OURS["metrics_endpoint"], "off"
    if _text(fields.get("use_structured_logging")) == "true":
        yield "SERVING_LOG", "json"


def _model(path: Path, fields: Mapping[str, Any]) -> ModelFile:
    name = _text(fields.get("name"))
    if not name:
        raise ValueError(f"{path} has no name: give the registered model's")
    batch = (_text(fields.get(key)) or "0" for key in ("max_batch_size", "max_batch_time"))
    return ModelFile(path, name, *batch)


def _require_names_once(models: tuple[ModelFile, ...]) -> None:
    first: dict[str, Path] = {}
    for one in models:
        if one.name in first:
            raise ValueError(f"{one.path} and {first[one.name]} are both of the model {one.name}")
        first[one.name] = one.path


def _unknown(path: Path, fields: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    for name in sorted(fields.keys() - known):
        why = _WHY_NOT.get(name, "it means nothing here")
        yield f"{name} in {path} is left aside: {why}"


def _fields(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    if not isinstance(fields, dict):
        raise ValueError(f"{path} holds no JSON object")  # noqa: TRY004 - one kind for every reason
    return fields


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
