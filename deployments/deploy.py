"""Puts prefect.yaml's deployments on a server, and leaves what its operator changed there.

    python -m deployments.deploy [--reset] [--training=cpu|gpu] PROFILE [section.name=value ...]

What belongs to the code is always written: entrypoints, forms, pools and their template. Schedules,
pauses, tags and limits are written when a deployment or the pool is new; parameters, as long as
they are those that were written last. --reset writes everything. Prints a sentence for each
deployment whose own parameters are kept. PREFECT_API_URL says which server. With --training, runs
go to the pool kospilot-cpu, for workers on several machines; with --training=gpu, their steps that
want a GPU go to the pool kospilot-gpu.
"""

import argparse
import contextlib
import importlib
import inspect
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentUpdate,
    VariableCreate,
    VariableUpdate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import parameter_schema

from deployments.automations import create_automations
from deployments.notices import write_notices
from flows.parameters import DESCRIPTIONS
from flows.pipeline import part
from flows.server_api import POOL
from tasks.core.files.digests import digest_value
from tasks.core.settings.profiles import load
from tasks.pools import STEP_FLOW

RUNS_AT_ONCE = 1  # in the pool: a run may train, and there is one accelerator

_CODE = Path(__file__).resolve().parent.parent
_WRITTEN = "kospilot_parameters"  # the variable that holds the digest of what was written last


@dataclass(frozen=True)
class Deployed:
    """What is written into all deployments."""

    parameters: dict[str, Any]
    written: object  # the digest of the parameters that were written before; None if none were
    reset: bool


def main(arguments: list[str]) -> None:
    """Creates or updates the pool, the deployments and the automations."""
    asked = _parse(arguments)
    resolved = load(asked.profile, asked.overrides)
    url = resolved.settings.notify.address()
    parameters = {"profile": resolved.profile, "overrides": list(resolved.overrides), "force": []}
    entries = yaml.safe_load((_CODE / "prefect.yaml").read_text())["deployments"]
    with get_client(sync_client=True) as client:
        deployed = Deployed(parameters, _read_written(client), asked.reset)
        for pool in sorted({_pool_of(entry, asked.training) for entry in entries}):
            _write_pool(client, pool, anew=asked.reset or deployed.written is None)
        for entry in entries:
            if _is_wanted(entry, asked.training):
                _write_deployment(client, entry, _pool_of(entry, asked.training), deployed)
            else:
                _remove_deployment(client, entry)
        create_automations(client, parameters, asked.reset)
        # A step's run that failed is told by the run that waits for it.
        told = [entry for entry in entries if not _is_steps(entry)]
        flows = [_load_flow(entry["entrypoint"]).name for entry in told]
        write_notices(client, url, [*flows, part.name], asked.reset)
        _note_written(client, digest_value(parameters))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m deployments.deploy", allow_abbrev=False)
    parser.add_argument("--reset", action="store_true")
    parser.add_argument("--training", choices=("cpu", "gpu"))
    parser.add_argument("profile")
    parser.add_argument("overrides", nargs="*")
    return parser.parse_args(arguments)


def _pool_of(entry: dict[str, Any], training: str | None) -> str:
    """One pool has all runs of a machine. With --training there is one of runs, and perhaps one of
    steps.
    """
    if training is None:
        return POOL
    return f"{POOL}-gpu" if _is_steps(entry) and training == "gpu" else f"{POOL}-cpu"


def _is_steps(entry: dict[str, Any]) -> bool:
    """Whether runs start it, for a step of theirs in another pool."""
    return str(entry["entrypoint"]).endswith(f".{STEP_FLOW}")


def _is_wanted(entry: dict[str, Any], training: str | None) -> bool:
    return training == "gpu" or not _is_steps(entry)


def _remove_deployment(client: SyncPrefectClient, entry: dict[str, Any]) -> None:
    """Lets runs find no other pool: all their steps work where they do."""
    flow = _load_flow(entry["entrypoint"])
    with contextlib.suppress(ObjectNotFound):
        known = client.read_deployment_by_name(f"{flow.name}/{entry['name']}")
        client.delete_deployment(known.id)


def _write_pool(client: SyncPrefectClient, name: str, anew: bool) -> None:
    """The pool's template leaves a run's command, environment and folder to us.

    One of another type than processes was made by an operator, who keeps its template.
    """
    template = json.loads((_CODE / "deployments" / "pool.json").read_text())
    try:
        known = client.read_work_pool(name)
    except ObjectNotFound:
        pool = WorkPoolCreate(
            name=name,
            type="process",
            base_job_template=template,
            concurrency_limit=RUNS_AT_ONCE,
        )
        client.create_work_pool(pool)
        return
    update = WorkPoolUpdate()
    if known.type == "process":
        update.base_job_template = template
    if anew:
        update.concurrency_limit, update.is_paused = RUNS_AT_ONCE, False
    client.update_work_pool(name, update)


def _write_deployment(
    client: SyncPrefectClient, entry: dict[str, Any], pool: str, deployed: Deployed
) -> None:
    flow = _load_flow(entry["entrypoint"])
    if _is_steps(entry):
        deployed = replace(deployed, parameters={})
    of_code = {
        "entrypoint": entry["entrypoint"],
        "description": inspect.getdoc(flow.fn),
        "pull_steps": entry["pull"],
        "parameter_openapi_schema": _form(flow),
        "enforce_parameter_schema": True,
        "work_pool_name": pool,
    }
    try:
        known = client.read_deployment_by_name(f"{flow.name}/{entry['name']}")
    except ObjectNotFound:
        known = None
    if known is None or deployed.reset:
        client.create_deployment(
            flow_id=client.create_flow(flow),
            name=entry["name"],
            parameters=deployed.parameters,
            schedules=[_schedule(told) for told in entry.get("schedules", [])],
            job_variables=entry["work_pool"]["job_variables"],
            paused=False,
            **of_code,
        )
        return
    if _are_ours(known, deployed):
        of_code["parameters"] = deployed.parameters
    else:
        print(
            f"{entry['name']} keeps the parameters that it was given in the UI"
            f" ({_shown(known.parameters)}); `--reset` writes"
            f" {_shown(deployed.parameters)}."
        )
    client.update_deployment(known.id, DeploymentUpdate(**of_code))


def _are_ours(known: DeploymentResponse, deployed: Deployed) -> bool:
    """Whether a deployment's parameters are those that were written last, or none at all."""
    if not known.parameters or deployed.written is None:
        return True
    return digest_value(known.parameters) == deployed.written


def _shown(parameters: dict[str, Any]) -> str:
    return " ".join([str(parameters.get("profile")), *(parameters.get("overrides") or [])])


def _load_flow(entrypoint: str) -> Flow[Any, Any]:
    module, _, name = entrypoint.rpartition(".")
    flow = getattr(importlib.import_module(module), name)
    assert isinstance(flow, Flow)
    return flow


def _form(flow: Flow[Any, Any]) -> dict[str, Any]:
    """The JSON Schema of a flow's parameters, from which the UI makes its form."""
    schema = parameter_schema(flow.fn).model_dump()
    for name, description in DESCRIPTIONS.items():
        if name in schema["properties"]:
            schema["properties"][name]["description"] = description
    return schema


def _schedule(told: dict[str, Any]) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(
        schedule=CronSchedule(cron=told["cron"], timezone=told["timezone"]),
        active=told["active"],
        slug=told["slug"],
    )


def _read_written(client: SyncPrefectClient) -> object:
    variable = client.read_variable_by_name(_WRITTEN)
    return variable.value if variable else None


def _note_written(client: SyncPrefectClient, digest: str) -> None:
    if client.read_variable_by_name(_WRITTEN) is None:
        client.create_variable(VariableCreate(name=_WRITTEN, value=digest))
    else:
        client.update_variable(VariableUpdate(name=_WRITTEN, value=digest))


if __name__ == "__main__":
    main(sys.argv[1:])
