"""Whom a Prefect server of ours answers: programs that know its secret, and no foreign web page."""

import httpx
import pytest

from flows.server_files import secret
from flows.server_settings import authorization

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
