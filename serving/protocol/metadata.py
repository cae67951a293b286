"""What the server says of itself and its models, in the protocol's form."""

from typing import Any

from include.bundle import Layout
from serving import VERSION
from serving.models.holder import Held, Holder
from serving.protocol.answers import label_values
from serving.protocol.sentences import TEXT

INPUT = "features"


def server() -> dict[str, Any]:
    """Return the server's metadata."""
    return {"name": "ratchet", "version": VERSION, "extensions": ["binary_tensor_data"]}


def model(held: Held, holder: Holder) -> dict[str, Any]:
    """Return a model's metadata: the protocol's fields, and under `parameters` what people ask."""
    manifest = held.bundle.manifest
    return {
        "name": held.name,
        "versions": [held.version],
        "platform": "ratchet_sklearn",
        "inputs": inputs(manifest.layout),
        "outputs": [
            {"name": "probability", "datatype": "FP64", "shape": [-1]},
            {"name": "label", "datatype": label_values(manifest)[0], "shape": [-1]},
        ],
        "parameters": {
            "family": manifest.family,
            "threshold": manifest.threshold,
            "labels": manifest.labels,
            "features": manifest.features,
            "categories": manifest.layout.categories,
            "missing": manifest.layout.missing,
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


def model_ready(held: Held, holder: Holder) -> dict[str, Any]:
    """Return which version of a model answers, and why it is not a newer one."""
    return {
        "name": held.name,
        "version": held.version,
        "ready": True,
        **_refused(held.name, holder),
    }


def ready(holder: Holder) -> dict[str, Any]:
    """Return whether anything can be predicted, what, and what stands in the way."""
    loaded = holder.loaded()
    answer: dict[str, Any] = {"ready": bool(loaded)}
    if not loaded:
        reason = holder.registry_problem or "no champion could be loaded, or none is named yet"
        answer["error"] = f"no model is loaded: {reason}"
    answer["models"] = {name: _state(name, holder) for name in holder.names()}
    answer["registry"] = {"reachable": holder.registry_problem is None}
    if holder.registry_problem is not None:
        answer["registry"]["reason"] = holder.registry_problem
    return answer


def _state(name: str, holder: Holder) -> dict[str, Any]:
    held = holder.find(name)
    return {"version": held.version if held else None, **_refused(name, holder)}


def _refused(name: str, holder: Holder) -> dict[str, Any]:
    refusal = holder.refusal(name)
    if refusal is None:
        return {}
    return {"refused": {"version": refusal.version, "reason": refusal.reason}}
