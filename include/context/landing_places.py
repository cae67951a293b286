"""Checks that no landing place overlaps another one, or a folder that Ratchet writes to.

Files directly in a landing place are deliveries. Its subfolders belong to Ratchet: claimed files
and notes to senders. A landing place inside one of them, or inside a folder of tables, specs or
logs, would ingest Ratchet's own files as deliveries.
"""

from collections.abc import Collection, Iterator, Mapping

from include.errors import SpecError
from include.formats.completeness import CLAIMED, NOTES
from include.settings import Settings
from include.spec.model_spec import Spec
from include.store.address import normal

_OWN_FOLDERS = ("airflow", "logs", "mlflow", "scratch", "serving", "stack")
"""Folders below a stack's home that the stack writes to."""


def place_of(spec: Spec, settings: Settings) -> str:
    """Return a spec's landing place in normal form: equal places have equal strings."""
    return normal(settings.landing_url(spec.name, spec.landing))


def require_own_place(spec: Spec, settings: Settings) -> None:
    """Raise SpecError when a spec's landing place overlaps the spec's own or the stack's folders.

    Other specs are not looked at; `misplaced` compares specs with one another.
    """
    if error := misplaced_specs((spec,), settings).get(spec.name):
        raise error


def misplaced_specs(specs: Collection[Spec], settings: Settings) -> Mapping[str, SpecError]:
    """Return the specs that may not run because of their landing place: the error by spec name."""
    refused: dict[str, SpecError] = {}
    for spec in specs:
        for folder, meaning in _kept(specs, settings):
            if _is_in(place_of(spec, settings), folder):
                refused[spec.name] = _refusal(spec, settings, f"Ratchet keeps {meaning}")
        for keeper in specs:
            if any(_is_in(place_of(spec, settings), one) for one in _below(keeper, settings)):
                # Who states no place has the usual one, so the other has to give way.
                wrong, other = (spec, keeper) if spec.landing else (keeper, spec)
                own = f"claimed files of {other.name} and notes to its senders would mix with files"
                refused[wrong.name] = _refusal(wrong, settings, own)
    return refused


def _refusal(spec: Spec, settings: Settings, whose: str) -> SpecError:
    place = place_of(spec, settings)
    return SpecError(f"{spec.name}.toml: landing: {place} is where {whose}: name another place")


def _is_in(place: str, folder: str) -> bool:
    return place == folder or place.startswith(f"{folder}/")


def _below(spec: Spec, settings: Settings) -> Iterator[str]:
    yield from (f"{place_of(spec, settings)}/{folder}" for folder in (NOTES, CLAIMED))


def _kept(specs: Collection[Spec], settings: Settings) -> Iterator[tuple[str, str]]:
    yield normal(str(settings.specs)), "specs"
    for name in _OWN_FOLDERS:
        yield normal(str(settings.home / name)), "what the stack writes"
    for spec in specs:
        yield f"{normal(settings.lake_url)}/{spec.name}", f"table and archive of {spec.name}"
