"""Metadata and readiness of the server and its models, in the protocol's form."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from serving import VERSION
from serving.bundle import Layout
from serving.bundle.registered import Role
from serving.models.holder import Holder, LoadedVersion
from serving.values.datatypes import TEXT

INPUT = "features"


def server() -> dict[str, Any]:
    """Return the server's metadata."""
    return {"name": "ratchet", "version": VERSION, "extensions": ["binary_tensor_data"]}


def model(held: LoadedVersion, holder: Holder) -> dict[str, Any]:
    """Return a model's metadata: the protocol's fields, and under `parameters` what people ask."""
    manifest, problem = held.bundle.manifest, held.bundle.problem
    return {
        "name": held.name,
        "versions": [held.version],
        "platform": "ratchet_sklearn",
        "inputs": inputs(manifest.layout),
        "outputs": [
            {"name": output.name, "datatype": output.datatype, "shape": [-1]}
            for output in problem.columns(manifest).outputs
        ],
        "parameters": {
            "family": manifest.family,
            "problem": manifest.problem,
            **problem.metadata(manifest),
            "features": manifest.features,
            "categories": manifest.layout.categories,
            "missing": manifest.layout.missing,
            **_notations(manifest.layout),
            "example": manifest.example[0] if manifest.example else None,
            "data_version": manifest.data_version,
            "libraries": manifest.libraries,
            **_refused(held.name, holder),
        },
    }


def inputs(layout: Layout) -> list[dict[str, Any]]:
    """Return what a request has to send: one matrix, or with categories an input a feature."""
    if not layout.categories:
        return [{"name": INPUT, "datatype": "FP32", "shape": [-1, len(layout.features)]}]
    return [
        {
            "name": feature,
            "datatype": TEXT if feature in layout.categories else "FP32",
            "shape": [-1],
        }
        for feature in layout.features
    ]


def _notations(layout: Layout) -> dict[str, Any]:
    """Return how the features are written that may be sent as texts, where there are any."""
    stated = {feature: notation.told for feature, notation in layout.notations.items()}
    return {"notations": stated} if stated else {}


Models = Mapping[str, Mapping[str, Any]]
"""What one process says of its models: the part `models` of its readiness."""


def model_ready(held: LoadedVersion, holder: Holder) -> dict[str, Any]:
    """Return which version of a model answers, and why a newer one was refused."""
    state = _state(held.name, holder) | {"version": held.version, "ready": True}
    state.pop("reason", None)  # of the champion, which is not the one that was asked about
    return {"name": held.name, **state}


def ready(
    holder: Holder, workers: Sequence[Models] = (), *, stopping: bool = False
) -> dict[str, Any]:
    """Return whether any model is ready, the state of each model, and what is wrong.

    `workers` are the states that the other processes on this address report; the result is then
    the state that all of them have reached. While `stopping` nothing is ready.
    """
    own = {name: _state(name, holder) for name in holder.names()}
    models = slowest([own, *workers]) if workers else own
    answer: dict[str, Any] = {"ready": not stopping and _any_ready(models.values())}
    if stopping:
        answer["error"] = "the server is stopping: it answers what it has and takes no more"
    elif not answer["ready"]:
        answer["error"] = f"no model is loaded: {_obstacle(holder, models)}"
    answer["models"] = models
    answer["registry"] = {"reachable": holder.registry_problem is None}
    if holder.registry_problem is not None:
        answer["registry"]["reason"] = holder.registry_problem
    return answer


def slowest(workers: Sequence[Models]) -> dict[str, dict[str, Any]]:
    """Return the state of each model that all of these processes have reached.

    A version is reported under a role when all processes have it there. If they differ, it is the
    version that got the role first, because the process that has it is behind. A model is ready
    when it is ready in each process; a version that any process has refused is reported as refused.
    """
    names = sorted({name for models in workers for name in models})
    return {name: _slowest([models.get(name, {}) for models in workers]) for name in names}


def _slowest(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    filled = [state.get("roles", {}) for state in states]
    common = [role.value for role in Role if all(role.value in roles for roles in filled)]
    roles = {role: _oldest([one[role] for one in filled]) for role in common}
    refused: dict[str, Any] = {}
    for state in states:
        refused = {**state.get("refused", {}), **refused}
    champion = roles.get(Role.CHAMPION.value)
    merged: dict[str, Any] = {
        "version": champion["version"] if champion else None,
        "ready": all(state.get("ready", False) for state in states),
        "roles": roles,
    }
    reasons = [state["reason"] for state in states if "reason" in state]
    if not merged["ready"]:
        merged["reason"] = reasons[0] if reasons else "a worker does not know it yet"
    return merged | ({"refused": refused} if refused else {})


def _oldest(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the version that was given a role first, or when the last of all got the same one."""
    is_common = len({(one["version"], one.get("digest")) for one in given}) == 1
    chosen = (max if is_common else min)(given, key=lambda item: item["since"])
    return dict(chosen)


def _any_ready(states: Iterable[Mapping[str, Any]]) -> bool:
    return any(state["ready"] for state in states)


def _obstacle(holder: Holder, models: Models) -> str:
    if holder.registry_problem is not None:
        return holder.registry_problem
    reasons = [state["reason"] for state in models.values() if "reason" in state]
    return "; ".join(reasons) or "no champion could be loaded, or none is named yet"


def _state(name: str, holder: Holder) -> dict[str, Any]:
    lineup = holder.lineup(name)
    state: dict[str, Any] = {
        "version": lineup.champion.version if lineup.champion else None,
        "ready": lineup.champion is not None,
        "roles": {
            role.value: {
                "version": held.version,
                "digest": held.digest,
                "since": lineup.since[role].isoformat(timespec="microseconds"),
            }
            for role, held in lineup.roles().items()
        },
    }
    if lineup.champion is None:
        state["reason"] = holder.absence(name)
    return state | _refused(name, holder)


def _refused(name: str, holder: Holder) -> dict[str, Any]:
    refusals = {
        role.value: {
            "version": refusal.version,
            "reason": refusal.reason,
            "kind": refusal.kind,
        }
        for role, refusal in holder.refusals(name).items()
    }
    return {"refused": refusals} if refusals else {}
