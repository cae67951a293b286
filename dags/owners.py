"""A copy of which spec owns which registered model, kept in an Airflow variable.

A Dag file is parsed every few seconds, whether MLflow is up or not, so it reads this variable,
which tasks write. A task asks the registry itself before it claims a file, so that an outdated copy
is corrected by the next run of a Dag.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from airflow.sdk import Variable

from include.context.landing_places import misplaced_specs, place_of
from include.errors import NotOwnerError, SpecError
from include.settings import Settings
from include.spec.model_spec import Spec

VARIABLE = "ratchet_owners"
log = logging.getLogger(__name__)


def remembered() -> Mapping[str, str]:
    """Return the owning spec by model; empty when Airflow's database cannot be read."""
    try:
        listed = json.loads(Variable.get(VARIABLE, default=None) or "{}")
    except Exception as error:  # noqa: BLE001 - whatever it is, parsing goes on
        log.info("the variable %s cannot be read: %s", VARIABLE, type(error).__name__)
        return {}
    return {str(model): str(spec) for model, spec in listed.items()} if _is_map(listed) else {}


def remember(model: str, owner: str) -> None:
    """Store the owner of a model; a failure is logged and does not fail the run."""
    known = remembered()
    if known.get(model) == owner:
        return
    try:
        Variable.set(VARIABLE, json.dumps(dict(known) | {model: owner}, sort_keys=True))
    except Exception as error:  # noqa: BLE001 - the next run tries again
        log.info("the variable %s cannot be written: %s", VARIABLE, type(error).__name__)


def newcomers(
    specs: Mapping[Path, Spec | SpecError], settings: Settings, owners: Mapping[str, str]
) -> dict[Path, SpecError]:
    """Return the valid specs that may not run, as their model or landing place is another spec's.

    Nothing is ingested from the landing place of a spec whose model is another's.
    """
    sound = {path: spec for path, spec in specs.items() if isinstance(spec, Spec)}
    known = {
        place_of(spec, settings): spec.name
        for spec in sound.values()
        if owners.get(spec.model) == spec.name
    }
    wrong = misplaced_specs(sound.values(), settings)
    refused = {path: wrong[spec.name] for path, spec in sound.items() if spec.name in wrong}
    for path, spec in sound.items():
        owner = owners.get(spec.model, spec.name)
        keeper = known.get(place_of(spec, settings), spec.name)
        if owner != spec.name:
            refused[path] = NotOwnerError(spec.name, spec.model, owner)
        elif keeper != spec.name and owners.get(spec.model) != spec.name:
            place = place_of(spec, settings)
            refused[path] = SpecError(
                f"{path.name}: landing: {place} is where files of {keeper} land: name another place"
            )
    return refused


def _is_map(value: object) -> bool:
    return isinstance(value, dict)
