"""What deploy/kubernetes says, as a cluster would read it.

Nothing here knows what the files should say: it finds pods, secrets and who may reach whom, for
tests to compare.
"""

import ast
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from include.settings import PROJECT

FOLDER = PROJECT / "deploy" / "kubernetes"
Document = dict[str, Any]

VALUES: Document = yaml.safe_load((FOLDER / "values-airflow.yaml").read_text())
KUSTOMIZATION: Document = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
APPLIED = [FOLDER / name for name in KUSTOMIZATION["resources"]]
SECRETS = FOLDER / "secrets.example.yaml"
KSERVE = FOLDER / "kserve.yaml"

COMPONENTS = ("migrateDatabaseJob", "apiServer", "scheduler", "dagProcessor", "triggerer")
"""Where the chart's values describe a process, beside the sets of workers."""


def documents(*paths: Path) -> list[Document]:
    """Return every document of some files."""
    return [one for path in paths for one in yaml.safe_load_all(path.read_text())]


def found(kind: str, name: str, *paths: Path) -> Document:
    """Return the one document of a kind and a name; fails where there is none or another."""
    (one,) = (
        one
        for one in documents(*(paths or APPLIED))
        if one["kind"] == kind and one["metadata"]["name"] == name
    )
    return one


def pods() -> dict[str, Document]:
    """Return the pod templates of the applied files by the name of their Deployment."""
    deployments = (one for one in documents(*APPLIED) if one["kind"] == "Deployment")
    return {one["metadata"]["name"]: one["spec"]["template"] for one in deployments}


def kserve_pod() -> Document:
    """Return the pod that KServe makes of the runtime and the predictor, as far as they say it."""
    runtime = found("ServingRuntime", "ratchet", KSERVE)["spec"]
    predictor = found("InferenceService", "ratchet", KSERVE)["spec"]["predictor"]
    spec = {name: runtime[name] for name in ("containers", "volumes")}
    for name in ("automountServiceAccountToken", "enableServiceLinks", "securityContext"):
        spec[name] = predictor[name]
    return {"metadata": {"labels": predictor["labels"]}, "spec": spec}


def airflow_processes() -> dict[str, Document]:
    """Return the parts of the chart's values that are a process, by name."""
    sets = {f"worker-{one['name']}": one for one in VALUES["workers"]["celery"]["sets"]}
    return {**{name: VALUES[name] for name in COMPONENTS}, **sets}


def airflow_pod(name: str) -> Document:
    """Return a pod of all that the values say of a process of Airflow."""
    said = airflow_processes()[name]
    image = VALUES["images"]["airflow"]
    container = {
        "name": name.lower(),
        "image": f"{image['repository']}:{image['tag']}",
        "args": said.get("args", []),
        "env": [*VALUES["env"], *said["env"]],
        "resources": said["resources"],
        "securityContext": VALUES["securityContexts"]["containers"],
        "volumeMounts": VALUES["volumeMounts"],
    }
    for probe in ("livenessProbe", "startupProbe"):
        timing = dict(said.get(probe, {}))
        if command := timing.pop("command", None):
            container[probe] = {**timing, "exec": {"command": command}}
    return {
        "metadata": {"labels": said.get("labels", {})},
        "spec": {
            "securityContext": VALUES["securityContexts"]["pod"],
            "containers": [container],
            "volumes": VALUES["volumes"],
        },
    }


def containers(pod: Document) -> list[Document]:
    """Return the containers of a pod, those that prepare it first."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def plain_env(container: Document) -> dict[str, str]:
    """Return the variables whose value stands in the file."""
    return {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}


def secret_keys() -> dict[str, set[str]]:
    """Return the keys of every Secret of the example by its name."""
    return {one["metadata"]["name"]: set(one["stringData"]) for one in documents(SECRETS)}


def asked_secrets(pod: Document) -> Iterator[tuple[str, str]]:
    """Yield name and key of each Secret that a pod asks for; the key is `*` for all of them."""
    for container in containers(pod):
        for one in container.get("envFrom", []):
            if "secretRef" in one:
                yield one["secretRef"]["name"], "*"
        for one in container.get("env", []):
            if "valueFrom" in one:
                asked = one["valueFrom"]["secretKeyRef"]
                yield asked["name"], asked["key"]
    for one in pod["spec"]["volumes"]:
        if "secret" in one:
            yield one["secret"]["secretName"], "*"


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Say whether a selector is about something with these labels."""
    wanted = selector.get("matchLabels", {}).items()
    among = selector.get("matchExpressions", [])
    assert all(one["operator"] == "In" for one in among)
    return all(labels.get(name) == value for name, value in wanted) and all(
        labels.get(one["key"]) in one["values"] for one in among
    )


def reach(
    inside: Mapping[str, Mapping[str, str]], outside: Mapping[str, Mapping[str, str]]
) -> dict[str, set[tuple[str, int]]]:
    """Return who may open a connection to whom on which port, names of the cluster left out.

    `inside` are the labels of pods by name, `outside` those of other namespaces. Where both ends
    are inside, both have to allow it.
    """
    policies = [one["spec"] for one in documents(FOLDER / "network.yaml")]
    allowed: dict[str, set[tuple[str, int]]] = {name: set() for name in (*inside, *outside)}
    for source, target in ((a, b) for a in allowed for b in allowed if a != b):
        out = _ports(policies, inside, outside, (source, target), "egress")
        into = _ports(policies, inside, outside, (target, source), "ingress")
        sides = [side for side in (out, into) if side is not None]
        if sides:
            allowed[source] |= {(target, port) for port in set.intersection(*sides)}
    return allowed


def _ports(
    policies: Sequence[Document],
    inside: Mapping[str, Mapping[str, str]],
    outside: Mapping[str, Mapping[str, str]],
    pair: tuple[str, str],
    direction: str,
) -> set[int] | None:
    """Return the ports that one end allows towards the other; None where no policy is about it."""
    own, other = pair
    if own in outside:
        return None
    about = [
        one
        for one in policies
        if direction.capitalize() in one["policyTypes"] and selects(one["podSelector"], inside[own])
    ]
    peers = {"egress": "to", "ingress": "from"}[direction]
    return {
        port["port"]
        for policy in about
        for rule in policy.get(direction, [])
        if any(_is_peer(peer, other, inside, outside) for peer in rule[peers])
        for port in rule["ports"]
    }


def _is_peer(
    peer: Document,
    other: str,
    inside: Mapping[str, Mapping[str, str]],
    outside: Mapping[str, Mapping[str, str]],
) -> bool:
    if "podSelector" in peer:
        return other in inside and selects(peer["podSelector"], inside[other])
    return other in outside and selects(peer["namespaceSelector"], outside[other])


def texts(*paths: Path) -> set[str]:
    """Return every text that a program's source holds, which is where it names its variables."""
    nodes = (node for path in paths for node in ast.walk(ast.parse(path.read_text())))
    return {one.value for one in nodes if isinstance(one, ast.Constant) and type(one.value) is str}


def known_variables() -> set[str]:
    """Return the names that the product, what its containers run, MLflow and S3 programs read."""
    mlflow = importlib.util.find_spec("mlflow")
    assert mlflow is not None
    assert mlflow.origin is not None
    programs = texts(*sorted((PROJECT / "deploy").glob("*.py")))
    # An account's password is in a variable that is made of the account's name.
    accounts = {f"{name.upper()}_PASSWORD" for name in programs if name.isalpha()}
    return (
        programs
        | accounts
        | texts(
            PROJECT / "include" / "settings.py",
            PROJECT / "serving" / "configuration" / "settings.py",
            Path(mlflow.origin).with_name("environment_variables.py"),
        )
    )
