"""Everything that steps read from and write to a spec's experiment and registered model."""

from dataclasses import dataclass

from include.adapters.registry.adoptions import Adoptions
from include.adapters.registry.arrivals import Arrivals
from include.adapters.registry.challenger_alias import ChallengerAlias
from include.adapters.registry.champion import Champion
from include.adapters.registry.connection import Connection, connect
from include.adapters.registry.decisions import Decisions
from include.adapters.registry.experiment import SpecExperiment
from include.adapters.registry.log_run import LogRun
from include.adapters.registry.ownership import Ownership
from include.adapters.registry.pages import Pages
from include.adapters.registry.registered_model import RegisteredModel
from include.adapters.registry.runs import Runs
from include.adapters.registry.settled_log import SettledLog
from include.adapters.registry.versions import Versions


@dataclass(frozen=True)
class Registry:
    """The parts of a spec's registry, over one connection."""

    model: str
    """The name of the registered model."""
    runs: Runs
    pages: Pages
    arrivals: Arrivals
    versions: Versions
    adoptions: Adoptions
    challenger: ChallengerAlias
    champion: Champion
    decisions: Decisions
    ownership: Ownership


def open_registry(url: str, spec: str, model: str) -> Registry:
    """Return the registry of a spec at an MLflow server; nothing is requested yet."""
    return registry_over(connect(url, spec, model))


def registry_over(connection: Connection) -> Registry:
    """Return a registry whose parts share a connection."""
    model = RegisteredModel(connection)
    experiment = SpecExperiment(connection, model)
    ledger = SpecExperiment(connection, model, experiment)
    log_run = LogRun(connection, model, ledger)
    ownership = Ownership(connection.spec, model)
    versions = Versions(connection, model, log_run, ownership)
    settled_log = SettledLog(connection.spec, model, log_run)
    return Registry(
        model.name,
        Runs(connection, experiment),
        Pages(connection.url, experiment),
        Arrivals(connection, ledger),
        versions,
        Adoptions(connection, model, experiment),
        ChallengerAlias(model, versions),
        Champion(model, versions, ownership, settled_log),
        Decisions(connection, experiment, log_run),
        ownership,
    )
