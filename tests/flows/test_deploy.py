"""What is written of a deployment that is on the server already."""

from types import SimpleNamespace

import pytest
import yaml

from deployments.deploy import Deployed, _is_wanted, _pool_of, _write_deployment
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
