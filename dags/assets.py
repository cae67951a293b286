"""The assets, each defined once: a second definition without a watcher deletes the watcher."""

from airflow.sdk import Asset, AssetWatcher
from landing_trigger import LandingTrigger

from include.settings import Settings
from include.spec import Spec


def landing(spec: Spec, settings: Settings) -> Asset:
    """Return the asset of a spec's landing folder; a file dropped there updates it."""
    folder = settings.landing / spec.name
    watcher = AssetWatcher(name=f"{spec.name}_landing", trigger=LandingTrigger(str(folder)))
    return Asset(name=f"{spec.name}_landing", uri=folder.as_uri(), watchers=[watcher])
