"""Which models in the registry are not what was registered, for `make status`.

The exporter watches them all the time, so where one answers its page says it. Elsewhere the
champions' files are read here, for a few seconds at most: large ones are the exporter's.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from prometheus_client.parser import text_string_to_metric_families

from include.settings import Settings
from include.store.units import MIB

SERIES = "ratchet_artifact_intact"
_SPEC, _DIGEST, _FILES = "ratchet.spec", "ratchet.digest", "ratchet.files"
_CHAMPION = "champion"
_API, _PROXY = "/api/2.0/mlflow", "/api/2.0/mlflow-artifacts/artifacts"
_SECONDS = 5.0
_ADVICE = "docs/runbook.md#artifactchanged says what to do."
_NOTHING = (httpx.HTTPError, OSError, ValueError, KeyError, TypeError)


def altered_artifacts(settings: Settings) -> list[str]:
    """Return a sentence for each; none too where MLflow is away, which other lines tell."""
    with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
        try:
            host = f"http://{settings.metrics_host}:{settings.metrics_port}/metrics"
            return sorted(_of_page(client.get(host).raise_for_status().text))
        except _NOTHING:
            pass
        client.base_url = httpx.URL(settings.registry_url)
        found: list[str] = []
        with suppress(*_NOTHING):
            found.extend(_read(client, time.monotonic() + _SECONDS))
        return sorted(found)


def _of_page(page: str) -> Iterator[str]:
    families = [one for one in text_string_to_metric_families(page) if one.name == SERIES]
    if not families:
        raise ValueError("this is not the page of an exporter that reads artifacts")
    for sample in families[0].samples:
        if not sample.value:
            yield _sentence(sample.labels["model"], sample.labels["version"])


def _read(client: httpx.Client, deadline: float) -> Iterator[str]:
    query = {"filter": f"tags.`{_SPEC}` LIKE '%'", "max_results": "200"}
    models = _json(client, f"{_API}/registered-models/search", query)
    for model in models.get("registered_models", []):
        aliases = {one["alias"]: one["version"] for one in model.get("aliases", [])}
        if _CHAMPION in aliases:
            named = {"name": model["name"], "version": aliases[_CHAMPION]}
            if not _is_intact(client, named, deadline):
                yield _sentence(model["name"], aliases[_CHAMPION])


def _is_intact(client: httpx.Client, named: dict[str, str], deadline: float) -> bool:
    found = _json(client, f"{_API}/model-versions/get", named)["model_version"]
    tags = {tag["key"]: tag.get("value", "") for tag in found.get("tags", [])}
    uri = _json(client, f"{_API}/model-versions/get-download-uri", named)["artifact_uri"]
    parts = urlsplit(uri)
    if parts.scheme != "mlflow-artifacts":
        return True  # it is in a bucket that MLflow does not hand out: the exporter's
    folder = f"{_PROXY}/{quote(parts.path.strip('/'))}"
    manifest = _file(client, f"{folder}/bundle.json", deadline)
    if manifest is None or _DIGEST not in tags:
        return False
    digest, text = manifest
    if digest != tags[_DIGEST]:
        return False
    digests = {"model.joblib": json.loads(text)["model_sha256"]} | _others(tags)
    read = {name: _file(client, f"{folder}/{name}", deadline) for name in digests}
    return all(file is not None and file[0] == digests[name] for name, file in read.items())


def _others(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of the files beside the bundle, by name; of a bad tag none that holds."""
    others: dict[str, str] = {}
    try:
        others |= json.loads(tags.get(_FILES, "{}"))
    except (ValueError, TypeError):
        return {"MLmodel": ""}
    return others


_NO_FILE = frozenset({httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST})
"""MLflow's answers where there is nothing, and where there is a folder."""


def _file(client: httpx.Client, path: str, deadline: float) -> tuple[str, bytes] | None:
    """Return the digest of a file and its first bytes, None when it is not there."""
    digest, start = hashlib.sha256(), b""
    with client.stream("GET", path) as answer:
        if answer.status_code in _NO_FILE:
            return None
        answer.raise_for_status()
        for block in answer.iter_bytes(MIB):
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("it is too large to be read in passing")
            start = start or block
            digest.update(block)
    return digest.hexdigest(), start


def _json(client: httpx.Client, path: str, query: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(path, params=query).raise_for_status().json()
    return found


def _sentence(model: str, version: str) -> str:
    return (
        f"{model} version {version} in MLflow is not what was registered: its files were changed "
        f"or are gone. {_ADVICE}"
    )
