"""A run goes on while Prefect's server is away, and waits for it where it needs it."""

import logging
from types import SimpleNamespace
from uuid import UUID

import httpx
import pytest
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks import reaching
from tasks.reaching import Telling, await_server

AWAY = httpx.ConnectError("All connection attempts failed")


def refusal(status):
    """What Prefect's client raises when the server answers with this status."""
    request = httpx.Request("POST", "http://127.0.0.1/api/artifacts/")
    answer = httpx.Response(status, request=request)
    return PrefectHTTPStatusError("refused", request=request, response=answer)


@pytest.fixture
def clock(monkeypatch):
    told = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(reaching.time, "monotonic", lambda: told.now)
    monkeypatch.setattr(reaching.time, "sleep", lambda seconds: None)
    return told


@pytest.mark.parametrize("error", [AWAY, httpx.ReadTimeout(""), refusal(503), refusal(401)])
def test_what_a_server_that_is_away_is_not_told_holds_no_step_up(clock, caplog, error):
    telling = Telling()
    assert telling.is_worthwhile()
    with caplog.at_level(logging.INFO), telling.passing():
        assert PREFECT_CLIENT_MAX_RETRIES.value() == 0
        raise error
    assert "Prefect's server is not told now" in caplog.text
    assert not telling.is_worthwhile()
    clock.now += 31
    assert telling.is_worthwhile()


@pytest.mark.parametrize("error", [refusal(422), ValueError("our bug")])
def test_what_is_no_absence_is_raised(clock, error):
    with pytest.raises(type(error)), Telling().passing():
        raise error


@pytest.mark.parametrize("deployment", [UUID(int=1), None])
def test_a_run_waits_until_the_server_answers(clock, monkeypatch, caplog, deployment):
    answers = [AWAY, AWAY, refusal(503), None]
    run = SimpleNamespace(flow_run=SimpleNamespace(deployment_id=deployment))
    monkeypatch.setattr(reaching.FlowRunContext, "get", lambda: run)
    monkeypatch.setattr(reaching, "_absence", lambda: answers.pop(0))
    with caplog.at_level(logging.INFO):
        await_server()
    assert answers == []
    waits = "Prefect's server does not answer (All connection attempts failed); the run waits"
    assert caplog.text.count(waits) == 1
    assert "Prefect's server answers again." in caplog.text


def test_a_run_in_a_terminal_does_not_wait_for_ever(clock, monkeypatch):
    def look():
        clock.now += 100
        return AWAY

    run = SimpleNamespace(flow_run=SimpleNamespace(deployment_id=None))
    monkeypatch.setattr(reaching.FlowRunContext, "get", lambda: run)
    monkeypatch.setattr(reaching, "_absence", look)
    await_server()
    assert 1600 < clock.now < 1900


def test_a_server_that_is_not_there_is_an_absence():
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert isinstance(reaching._absence(), httpx.ConnectError)


def test_a_foreign_env_file_in_the_folder_at_hand_is_not_read(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("PREFECT_LOGGING_LEVEL=NONSENSE\nPREFECT_SERVER_PORT=no\n")
    monkeypatch.chdir(tmp_path)
    with Telling().passing():
        assert PREFECT_CLIENT_MAX_RETRIES.value() == 0
