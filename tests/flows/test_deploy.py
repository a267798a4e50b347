"""What is written of a deployment that is on the server already."""

from types import SimpleNamespace

import pytest
import yaml

from deployments.deploy import Deployed, _is_wanted, _pool_of, _write_deployment, _write_pool
from flows.server import CODE

ENTRIES = yaml.safe_load((CODE / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize(
    ("training", "pools"),
    [
        (None, {"kospilot"}),
        ("cpu", {"kospilot-cpu"}),
        ("gpu", {"kospilot-cpu", "kospilot-gpu"}),
    ],
)
def test_a_deployment_goes_to_the_pool_that_is_asked_for_now(training, pools):
    """A machine that gets a GPU later is told so by another --training."""
    updates = []
    known = SimpleNamespace(id="d", parameters={})
    client = SimpleNamespace(
        read_deployment_by_name=lambda name: known,
        update_deployment=lambda identity, update: updates.append(update),
    )
    deployed = Deployed({"profile": "demo", "overrides": [], "force": []}, None, reset=False)
    for entry in ENTRIES:
        if _is_wanted(entry, training):
            _write_deployment(client, entry, _pool_of(entry, training), deployed)
    assert {update.work_pool_name for update in updates} == pools


@pytest.mark.parametrize(("kind", "written"), [("process", True), ("kubernetes", False)])
def test_a_pool_of_another_type_keeps_its_template(kind, written):
    updates = []
    client = SimpleNamespace(
        read_work_pool=lambda name: SimpleNamespace(type=kind),
        update_work_pool=lambda name, update: updates.append(update.model_dump(exclude_unset=True)),
    )
    _write_pool(client, "kospilot-gpu", anew=False)
    _write_pool(client, "kospilot-gpu", anew=True)
    assert [("base_job_template" in update) for update in updates] == [written, written]
    assert [update.get("concurrency_limit") for update in updates] == [None, 1]
