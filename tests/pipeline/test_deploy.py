"""`kospilot deploy` on a real server: two pools, and a webhook that is told how runs end."""

import json
import os
import queue
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from deployments.notices import BLOCK, NAMES
from flows.notices import RELEASE_REFUSED
from flows.server_api import api, post
from flows.server_files import secret

pytestmark = pytest.mark.slow


@pytest.fixture
def webhook():
    """The address of a webhook that refuses its first call, and the bodies that it got."""
    bodies = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bodies.put((self.headers["Content-Type"], body))
            self.send_response(500 if bodies.qsize() == 1 else 200)
            self.end_headers()

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", bodies
        server.shutdown()
        thread.join()


def deploy(running, *arguments, webhook=""):
    """`kospilot deploy` on another machine, which knows the server by its address and password."""
    named = {"PREFECT_API_URL": running.record.url, "PREFECT_API_AUTH_STRING": secret(running.home)}
    home = {"KOSPILOT_HOME": str(running.home / "elsewhere"), "KOSPILOT_NOTIFY_URL": webhook}
    env = {**os.environ, **named, **home}
    command = [sys.executable, "-m", "flows", "deploy", "demo", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stderr.split())


def end(client, flow, kind, message):
    """A run of a flow that ends in a state; returns its id."""
    identity = post(client, "/flows/", {"name": flow})["id"]
    run = post(client, "/flow_runs/", {"flow_id": identity, "name": f"{flow} kospi-7b"})["id"]
    state = {"type": kind, "name": kind.capitalize(), "message": message}
    post(client, f"/flow_runs/{run}/set_state", {"state": state, "force": True})
    return run


def test_a_webhook_is_told_how_our_runs_end(prefect_server, webhook):
    url, bodies = webhook
    said = deploy(prefect_server, "pairs.rows=12", webhook=url)
    assert f"PREFECT_API_URL: the deployments go to {prefect_server.record.url}." in said
    try:
        with api(prefect_server.home, prefect_server.record.url) as client:
            deployed = post(client, "/deployments/filter", {})
            overrides = {str(known["parameters"].get("overrides")) for known in deployed}
            assert overrides == {"['pairs.rows=12']", "None"}  # a run tells its steps' pool
            pools = {known["name"]: known["work_pool_name"] for known in deployed}
            assert (pools["full"], pools["gpu"]) == ("kospilot-cpu", "kospilot-gpu")
            end(client, "another team's", "FAILED", "not ours")
            end(client, "full", "COMPLETED", "nobody waits for this")
            ended = [
                end(client, "full", "FAILED", 'No "disk" left\nat step 3 <'),
                end(client, "train", "CRASHED", "its process died"),
                end(client, "refresh", "COMPLETED", "demo; market: 1 day added"),
            ]
            refused = {
                "id": str(uuid4()),
                "occurred": datetime.now(UTC).isoformat(),
                "event": RELEASE_REFUSED,
                "resource": {"prefect.resource.id": "kospilot.release.kospi"},
                "payload": {"text": "kospi:1 is not promoted: 3 of 8 are wrong."},
            }
            post(client, "/events", [refused])
        got = [bodies.get(timeout=60) for _ in range(4)]
        assert {kind for kind, _ in got} == {"application/json"}
        texts = sorted(body["text"] for _, body in got)
        page = prefect_server.record.url.replace("/api", "/runs/flow-run/")
        assert texts == sorted(
            [
                f'full kospi-7b: Failed. No "disk" left\nat step 3 < {page}{ended[0]}',
                f"train kospi-7b: Crashed. its process died {page}{ended[1]}",
                f"refresh kospi-7b: Completed. demo; market: 1 day added {page}{ended[2]}",
                "kospi:1 is not promoted: 3 of 8 are wrong.",
            ]
        )
        assert bodies.empty()
    finally:
        deploy(prefect_server)
    with api(prefect_server.home, prefect_server.record.url) as client:
        wanted = {"automations": {"name": {"any_": list(NAMES)}}}
        assert post(client, "/automations/filter", wanted) == []
        wanted = {"block_documents": {"name": {"any_": [BLOCK]}}}
        assert post(client, "/block_documents/filter", wanted) == []
