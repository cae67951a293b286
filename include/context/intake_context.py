"""The context of ingestion: a spec, its landing place and its lake.

Separate from `StepContext`, because ingestion needs neither models nor a registry, and importing
those costs seconds and memory.
"""

from dataclasses import dataclass

from include.adapters.lake import Lake
from include.adapters.landing import Landing
from include.adapters.refusal_ledger import RefusalLedger
from include.adapters.sender_notes import SenderNotes
from include.context.landing_places import require_own_place
from include.settings import Settings
from include.spec.model_spec import Spec


@dataclass(frozen=True)
class IntakeContext:
    """The adapters that ingestion reads from and writes to."""

    spec: Spec
    settings: Settings
    landing: Landing
    lake: Lake
    ledger: RefusalLedger
    notes: SenderNotes


def intake_context(spec: Spec, settings: Settings) -> IntakeContext:
    """Return the ingestion context of a spec.

    Raises SpecError when its landing place lies where no files may land.
    """
    require_own_place(spec, settings)
    lake_url = f"{settings.lake_url}/{spec.name}"
    landing_url = settings.landing_url(spec.name, spec.landing)
    return IntakeContext(
        spec,
        settings,
        Landing(landing_url, lake_url, settings.s3, settings.scratch),
        Lake(lake_url, settings.s3, settings.scratch),
        RefusalLedger(lake_url, settings.s3),
        SenderNotes(landing_url, settings.s3),
    )
