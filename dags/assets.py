"""Defines each asset once: a second definition without a watcher would delete the watcher."""

from pathlib import Path

from airflow.sdk import Asset, AssetWatcher
from landing_trigger import LandingTrigger, is_bucket

from include.settings import Settings
from include.spec.model_spec import Spec


def landing(spec: Spec, settings: Settings) -> Asset:
    """Return the asset of a spec's landing place; its trigger updates it when a file arrives."""
    url = settings.landing_url(spec.name, spec.landing)
    watcher = AssetWatcher(
        name=f"{spec.name}_landing", trigger=LandingTrigger(url, dag_id=spec.name)
    )
    uri = url if is_bucket(url) else Path(url).as_uri()
    return Asset(name=f"{spec.name}_landing", uri=uri, watchers=[watcher])
