import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from include.settings import PROJECT
from serving import VERSION
from serving.configuration.settings import read_settings
from serving.traffic.drain import LONGEST_SECONDS, READY_PATH
from tests import manifests
from tests.manifests import found

CLOSING_SECONDS = 3
"""What serving/traffic/drain.py allows for closing, after the last answer."""
PODS = {
    **manifests.pods(),
    "kserve": manifests.kserve_pod(),
    **{name: manifests.airflow_pod(name) for name in manifests.airflow_processes()},
}
every_pod = pytest.mark.parametrize("name", PODS)


def told(version: str, *paths: Path) -> str:
    """Return what the validator says of files; empty when they are as a cluster's API has it."""
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "--quiet", "-k", version]
    answer = subprocess.run([*command, *paths], capture_output=True, text=True, check=False)
    said = answer.stdout + answer.stderr
    assert bool(said) or answer.returncode == 0
    return said


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_a_cluster_takes_every_manifest(version: str) -> None:
    """Each field exists and has its type, in the oldest release that Airflow's chart takes too."""
    assert told(version, *manifests.APPLIED, manifests.SECRETS) == ""


@every_pod
def test_a_cluster_takes_every_pod(name: str, tmp_path: Path) -> None:
    """What the chart's values and KServe's objects say of a pod is what a pod may be."""
    path = tmp_path / "pod.yaml"
    metadata = {"name": name.lower(), **PODS[name]["metadata"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": PODS[name]["spec"]}
    path.write_text(yaml.safe_dump(pod))
    assert told("1.30", path) == ""


def test_the_validator_sees_a_wrong_field(tmp_path: Path) -> None:
    """It would say so: a misspelt field of a manifest is named."""
    path = tmp_path / "wrong.yaml"
    path.write_text(manifests.APPLIED[-1].read_text().replace("strategy:", "stratgy:"))
    assert "'stratgy' was unexpected" in told("1.37", path)


@every_pod
def test_a_pod_may_do_nothing_that_it_need_not(name: str) -> None:
    """Not root, no way to become it, no system call filter off, no writing but to volumes."""
    pod = PODS[name]["spec"]
    for container in manifests.containers(PODS[name]):
        context = {**pod["securityContext"], **container["securityContext"]}
        assert context["runAsNonRoot"] is True
        assert (context["runAsUser"], context["runAsGroup"]) == (10001, 10001)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]
        mounted = {one["name"] for one in container["volumeMounts"]}
        assert mounted <= {one["name"] for one in pod["volumes"]}


@pytest.mark.parametrize("name", ["mlflow", "serving", "kserve"])
def test_a_pod_is_told_nothing_of_its_neighbours(name: str) -> None:
    """The address of the Service `serving` does not come in as SERVING_PORT, nor any token."""
    assert PODS[name]["spec"]["enableServiceLinks"] is False
    assert PODS[name]["spec"]["automountServiceAccountToken"] is False


def test_the_server_starts_on_what_its_pods_say() -> None:
    """The variables are the server's own, the ports are the Services', keys are asked for."""
    (container,) = PODS["serving"]["spec"]["containers"]
    settings = read_settings(manifests.plain_env(container))
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {"http": settings.port, "grpc": settings.grpc_port}
    for name in ("serving", "serving-replicas"):
        service = found("Service", name)["spec"]["ports"]
        assert {one["name"]: one["targetPort"] for one in service} == ports
        assert {one["name"]: one["port"] for one in service} == ports
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "api-keys")
    assert settings.api_keys_file is not None
    assert settings.api_keys_file.parent == Path(mount["mountPath"])
    assert settings.api_keys_file.name in manifests.secret_keys()["api-keys"]
    assert str(settings.home) in {one["mountPath"] for one in container["volumeMounts"]}
    registry = found("Service", "mlflow")
    assert settings.registry_url == f"http://mlflow:{registry['spec']['ports'][0]['port']}"


def test_a_replica_is_given_the_time_to_answer_what_it_has() -> None:
    """It still answers while nodes learn that it goes, then it drains, and is not killed before."""
    pod = PODS["serving"]["spec"]
    wait = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= wait + LONGEST_SECONDS + CLOSING_SECONDS
    assert found("Deployment", "serving")["spec"]["strategy"]["rollingUpdate"] == {
        "maxUnavailable": 0,
        "maxSurge": 1,
    }


def test_the_probes_ask_what_the_server_answers() -> None:
    """Ready is asked for callers, live for restarts: a registry that is away ends no process."""
    (container,) = PODS["serving"]["spec"]["containers"]
    paths = {name: container[name]["httpGet"]["path"] for name in container if "Probe" in name}
    live = "/v2/health/live"
    assert paths == {"startupProbe": live, "readinessProbe": READY_PATH, "livenessProbe": live}


def test_kserve_runs_the_same_container() -> None:
    """The alternative differs in the port's name and in what KServe says for itself."""
    (ours,), (theirs,) = (PODS[name]["spec"]["containers"] for name in ("serving", "kserve"))
    for part in ("env", "envFrom", "resources", "volumeMounts", "lifecycle"):
        assert theirs[part] == ours[part]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert theirs[probe]["httpGet"] == {**ours[probe]["httpGet"], "port": 8090}
    assert theirs["ports"][0]["containerPort"] == ours["ports"][0]["containerPort"]


def test_kserve_is_asked_for_what_our_own_objects_say() -> None:
    """A runtime of protocol V2, as many replicas, moved and ended in the same way."""
    runtime = found("ServingRuntime", "ratchet", manifests.KSERVE)
    predictor = found("InferenceService", "ratchet", manifests.KSERVE)["spec"]["predictor"]
    model = predictor["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] == "v2"
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    formats = {one["name"] for one in runtime["spec"]["supportedModelFormats"]}
    assert model["modelFormat"]["name"] in formats
    scaler = found("HorizontalPodAutoscaler", "serving")["spec"]
    for bound in ("minReplicas", "maxReplicas"):
        assert predictor[bound] == scaler[bound]
    target = scaler["metrics"][0]["resource"]
    assert predictor["scaleMetric"] == target["name"]
    assert predictor["scaleTarget"] == target["target"]["averageUtilization"]
    assert predictor["deploymentStrategy"] == found("Deployment", "serving")["spec"]["strategy"]
    grace = "terminationGracePeriodSeconds"
    assert predictor[grace] == PODS["serving"]["spec"][grace]


def test_services_and_what_scales_find_their_pods() -> None:
    """Selectors are the labels of the pods, of both ways to run the endpoint."""
    for one in manifests.documents(*manifests.APPLIED):
        if one["kind"] == "Service":
            labels = PODS[one["metadata"]["name"].removesuffix("-replicas")]["metadata"]["labels"]
            assert one["spec"]["selector"].items() <= labels.items()
        if one["kind"] == "Deployment":
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert manifests.selects(one["spec"]["selector"], labels)
    selector = found("Service", "serving-replicas")["spec"]["selector"]
    assert selector.items() <= PODS["kserve"]["metadata"]["labels"].items()
    scaler = found("HorizontalPodAutoscaler", "serving")["spec"]
    assert scaler["scaleTargetRef"]["name"] == "serving"
    assert scaler["minReplicas"] >= 2
    # Or every `kubectl apply` would undo what the autoscaler did.
    assert "replicas" not in found("Deployment", "serving")["spec"]
    budget = found("PodDisruptionBudget", "serving")["spec"]
    assert manifests.selects(budget["selector"], PODS["serving"]["metadata"]["labels"])


def test_the_pipeline_asks_by_the_name_of_every_replica() -> None:
    """That name has no address of its own, and stands for replicas that are not ready, too."""
    env = {one["name"]: one["value"] for one in manifests.VALUES["env"]}
    url = urlsplit(env["RATCHET_SERVING_URL"])
    service = found("Service", url.hostname or "")["spec"]
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True
    assert url.port in {one["targetPort"] for one in service["ports"]}
    assert env["RATCHET_MLFLOW_URL"] == env["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert env["AWS_ENDPOINT_URL"] == found("ConfigMap", "mlflow")["data"]["MLFLOW_S3_ENDPOINT_URL"]


@every_pod
def test_every_secret_stands_in_the_example(name: str) -> None:
    """A pod that waited for a Secret that nobody was told of would never start."""
    known = manifests.secret_keys()
    for secret, key in manifests.asked_secrets(PODS[name]):
        assert secret in known
        assert key == "*" or key in known[secret]


def test_the_example_holds_what_is_asked_for_and_no_value() -> None:
    """Nothing in it is left over, and nothing in it is a secret."""
    asked = {one for pod in PODS.values() for one in manifests.asked_secrets(pod)}
    asked.add((manifests.VALUES["redis"]["passwordSecretName"], "password"))
    for secret, keys in manifests.secret_keys().items():
        left = keys - {key for name, key in asked if name == secret}
        assert not left or (secret, "*") in asked
    values = [one["stringData"].values() for one in manifests.documents(manifests.SECRETS)]
    assert {value for of_one in values for value in of_one} == {""}


def test_the_secrets_of_a_host_of_containers_are_the_same(tmp_path: Path) -> None:
    """Each can be made from the file of its name; the two that are no variables from theirs."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    drawing = [sys.executable, "-m", "deploy.secret_files"]
    subprocess.run(drawing, cwd=tmp_path, env=environment, check=True, capture_output=True)
    folder = tmp_path / ".secrets"
    for name, keys in manifests.secret_keys().items():
        if name == "api-keys":
            assert keys == {"api-keys"}
            assert (folder / name).is_file()
        elif name == "airflow-redis":
            assert "requirepass " in (folder / "redis.conf").read_text()
        else:
            lines = (folder / f"{name}.env").read_text().splitlines()
            assert {line.partition("=")[0] for line in lines} == keys


def test_every_variable_is_one_that_something_reads() -> None:
    """A misspelt setting would be a default in silence."""
    libraries = {"PYTHONPATH", "OMP_NUM_THREADS", "MPLBACKEND", "MPLCONFIGDIR"}
    said = {
        one["name"]
        for pod in PODS.values()
        for container in manifests.containers(pod)
        for one in container.get("env", [])
    }
    said |= set(found("ConfigMap", "mlflow")["data"])
    for name in ("mlflow", "mlflow-accounts", "mlflow-database", "mlflow-objects", "serving"):
        said |= manifests.secret_keys()[name]
    options = {name for name in said if name.startswith("AIRFLOW__")}
    unknown = said - options - libraries - manifests.known_variables()
    assert not unknown


def test_what_runs_is_there() -> None:
    """Modules and scripts that a container starts are files of this tree."""
    words = [
        word
        for pod in PODS.values()
        for container in manifests.containers(pod)
        for part in (
            container.get("args", []),
            *(
                container[probe]["exec"]["command"]
                for probe in ("livenessProbe", "startupProbe")
                if "exec" in container.get(probe, {})
            ),
        )
        for word in part
    ]
    modules = {word.replace(".", "/") + ".py" for word in words if word.startswith("deploy.")}
    scripts = {word.removeprefix("/opt/ratchet/") for word in words if word.endswith(".py")}
    assert len(modules) == 4
    assert len(scripts) == 1
    for file in modules | scripts:
        assert (PROJECT / file).is_file(), file


def test_all_images_are_of_this_release() -> None:
    """One version in all places, and no image that kustomize does not know."""
    tags = {one["name"]: one["newTag"] for one in manifests.KUSTOMIZATION["images"]}
    used = {c["image"] for pod in manifests.pods().values() for c in manifests.containers(pod)}
    assert used == set(tags)
    assert set(tags.values()) == {VERSION}
    assert manifests.VALUES["images"]["airflow"] == {"repository": "ratchet", "tag": VERSION}
    assert PODS["kserve"]["spec"]["containers"][0]["image"] == f"ratchet-serving:{VERSION}"


def test_who_may_reach_whom() -> None:
    """The whole table: the endpoint reaches the registry, the registry its stores, and so on."""
    inside = {name: pod["metadata"]["labels"] for name, pod in manifests.pods().items()}
    inside["worker"] = PODS["worker-training"]["metadata"]["labels"]
    chart = ("api-server", "scheduler", "dag-processor", "triggerer", "redis")
    for component in (*chart, "run-airflow-migrations"):
        inside[component] = {"tier": "airflow", "component": component}
    outside = {
        name: {f"ratchet-{name}": "true"}
        for name in ("postgres", "objects", "callers", "monitoring")
    }
    outside["anybody"] = {}
    stores = {("postgres", 5432), ("objects", 8333)}
    airflow = {("postgres", 5432), ("api-server", 8080)}
    assert manifests.reach(inside, outside) == {
        "serving": {("mlflow", 5000)},
        "mlflow": stores,
        "worker": airflow | stores | {("redis", 6379), ("mlflow", 5000), ("serving", 8090)},
        "api-server": {("postgres", 5432), ("triggerer", 8794)},
        "scheduler": airflow | {("redis", 6379)},
        "dag-processor": airflow,
        "triggerer": airflow | stores,
        # The api-server lets it in as little as anybody else.
        "run-airflow-migrations": {("postgres", 5432)},
        "redis": set(),
        "callers": {("serving", 8090), ("serving", 8091), ("mlflow", 5000), ("api-server", 8080)},
        "monitoring": {("serving", 8090)},
        "postgres": set(),
        "objects": set(),
        "anybody": set(),
    }
