"""Whom a Prefect server of ours answers: programs that know its secret, and no foreign web page.

And whose settings it and a run obey: ours, and no others.
"""

import subprocess
import sys
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.server_files import SERVER_LOG, secret
from flows.server_settings import authorization
from tasks.core.processes.log_files import rotate
from tests.pipeline.conftest import foreign_variables, write_foreign_settings

pytestmark = pytest.mark.slow

JSON = {"content-type": "application/json"}
FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "evil.example:4200"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": ""},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://127.0.0.1"},
    {"Origin": "http://127.0.0.1:1"},
    {"Host": "evil.example", "Origin": "http://evil.example"},
]


@pytest.fixture
def server(prefect_server):
    url = prefect_server.record.url
    known = authorization({"PREFECT_API_AUTH_STRING": secret(prefect_server.home)})
    with httpx.Client(base_url=url, timeout=60, headers=JSON) as client:
        yield client, known


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_page_is_refused_even_with_the_secret(server, headers):
    client, known = server
    for method in ("GET", "POST", "OPTIONS"):
        asked = {**known, **headers, "Access-Control-Request-Method": "POST"}
        answer = client.request(method, "/deployments/filter", headers=asked)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
        assert "not this server" in answer.text or "are not answered" in answer.text


def test_the_server_goes_on_in_a_new_file_when_its_log_was_rotated(prefect_server):
    log = prefect_server.home / "logs" / SERVER_LOG
    rotate(log, most=-1)
    assert not log.exists()
    deadline = time.monotonic() + 30
    while not log.exists():
        assert time.monotonic() < deadline, "the server writes to the old file still"
        time.sleep(0.1)


def test_prometheus_scrapes_prefects_figures_and_the_runs_with_the_secret(prefect_server, server):
    client, known = server
    folder = prefect_server.home / "metrics"
    folder.mkdir()
    line = 'kospilot_run_succeeded{profile="demo",part=""} 1.0'
    (folder / "kospilot-demo.prom").write_text(f"# TYPE kospilot_run_succeeded gauge\n{line}\n")
    assert client.get("/metrics").status_code == 401
    scraped = client.get("/metrics", headers=known).text
    samples = {}
    for family in text_string_to_metric_families(scraped):
        samples |= {sample.name: sample.value for sample in family.samples}
    assert samples["kospilot_run_succeeded"] == 1
    assert samples["process_cpu_seconds_total"] > 0


def test_a_local_user_without_the_secret_is_refused(server):
    client, known = server
    assert client.get("/health").json() is True
    assert client.get("/admin/version").status_code == 401
    wrong = authorization({"PREFECT_API_AUTH_STRING": "kospilot:guess"})
    assert client.get("/admin/version", headers=wrong).status_code == 401
    assert client.get("/admin/version", headers=known).status_code == 200
    token = client.get("/csrf-token?client=me", headers=known).json()["token"]
    own = {"Prefect-Csrf-Client": "me", "Prefect-Csrf-Token": token}
    posts = [(known, 403), (own, 401), ({**known, **own}, 200)]
    for headers, status in posts:
        answer = client.post("/deployments/filter", json={}, headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_its_own_pages_are_answered_by_both_names(server, name):
    client, known = server
    origin = f"http://{name}:{client.base_url.port}"
    answer = client.get("/admin/version", headers={**known, "Origin": origin})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin


def test_the_secret_is_its_owners_alone(prefect_server):
    file = prefect_server.home / "prefect" / "secret"
    assert file.stat().st_mode & 0o777 == 0o600
    told = secret(prefect_server.home).partition(":")[2]
    log = (prefect_server.home / "logs" / "prefect-server.log").read_text()
    assert told not in log


def test_the_server_left_a_users_other_prefect_alone(prefect_server):
    names = {path.name for path in (prefect_server.home / "other").iterdir()}
    assert names == {".env", "prefect.toml", "pyproject.toml"}


def test_a_damaged_database_was_set_aside(prefect_server):
    [kept] = (prefect_server.home / "prefect").glob("prefect.db.damaged-*")
    assert kept.read_bytes().startswith(b"no database ")


def test_a_run_obeys_no_settings_for_another_prefect(finished, tmp_path):
    home, other = finished.copy(tmp_path / "home"), tmp_path / "other"
    write_foreign_settings(other)
    proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "all_proxy": "socks://127.0.0.1:9"}
    nowhere = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    env = {**home.env, **foreign_variables(other), **proxies, **nowhere, "HOME": str(other)}
    step = ("--only", "normalize", "--force", "normalize")
    command = [sys.executable, "-m", "flows", "run", "demo", *home.small, *step]
    done = subprocess.run(command, env=env, cwd=other, capture_output=True, text=True, check=False)
    said = " ".join(done.stderr.split())
    assert done.returncode == 0, done.stderr
    assert "PREFECT_API_URL=http://127.0.0.1:9/api is not used: no server answers there" in said
    assert "all_proxy is not used: socks://" in said
    assert {path.name for path in other.iterdir()} == {".env", "prefect.toml", "pyproject.toml"}
