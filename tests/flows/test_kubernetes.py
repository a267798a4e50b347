"""The pools' templates for Kubernetes become whole Jobs, filled in by Prefect's own way."""

import json

import pytest
import yaml
from prefect.utilities.templating import apply_values, find_placeholders

from flows.server import CODE
from flows.server_settings import base_settings

FOLDER = CODE / "deployments" / "kubernetes"
FROM_PREFECT = {"name": "stage2-of-full", "command": "prefect flow-run execute"}


def template(pool):
    return json.loads((FOLDER / f"pool-{pool}.json").read_text())


@pytest.fixture(params=["cpu", "gpu"])
def pool(request):
    return request.param


@pytest.fixture
def spec(pool):
    """The pod of a run, with every variable's default."""
    known = template(pool)
    values = {name: told.get("default") for name, told in known["variables"]["properties"].items()}
    values |= {"labels": {}, "annotations": {}, **FROM_PREFECT}
    job = apply_values(known["job_configuration"], values)["job_manifest"]
    assert (job["kind"], job["spec"]["backoffLimit"]) == ("Job", 0)
    return job["spec"]["template"]["spec"]


def test_every_variable_is_used_and_every_placeholder_has_one(pool):
    known = template(pool)
    used = {found.name for found in find_placeholders(known["job_configuration"])}
    assert used == set(known["variables"]["properties"])


def test_a_run_has_the_shared_home_and_what_every_prefect_process_of_ours_knows(pool, spec):
    [container] = spec["containers"]
    claims = {volume["name"]: volume.get("persistentVolumeClaim") for volume in spec["volumes"]}
    places = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    env = template(pool)["variables"]["properties"]["env"]["default"]
    assert claims["home"] == {"claimName": "kospilot-home"}
    assert places["home"] == env["KOSPILOT_HOME"] == "/var/lib/kospilot"
    ours = base_settings(FOLDER)
    for name in ("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "PREFECT_LOGGING_EXTRA_LOGGERS"):
        assert env[name] == ours[name]
    assert spec["securityContext"]["runAsUser"] == 10001  # as in docker/Dockerfile
    assert container["image"] == ("kospilot:cuda" if pool == "gpu" else "kospilot:cpu")
    assert container["args"] == FROM_PREFECT["command"]


def test_a_gpu_is_asked_for_in_its_pool_alone(pool, spec):
    limits = spec["containers"][0]["resources"]["limits"]
    assert limits.get("nvidia.com/gpu") == (1 if pool == "gpu" else None)


def test_the_claim_is_for_many_machines_and_charts_get_the_same_secret(spec):
    claim = yaml.safe_load((FOLDER / "home.yaml").read_text())
    assert claim["metadata"]["name"] == "kospilot-home"
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    env = {told["name"]: told["valueFrom"] for told in spec["containers"][0]["env"]}
    secret = env["PREFECT_API_AUTH_STRING"]["secretKeyRef"]["name"]
    server = yaml.safe_load((FOLDER / "server.yaml").read_text())
    worker = yaml.safe_load((FOLDER / "worker.yaml").read_text())["worker"]
    assert server["server"]["basicAuth"]["existingSecret"] == secret
    assert worker["selfHostedServerApiConfig"]["basicAuth"]["existingSecret"] == secret
