"""A worker goes on when its server was away for longer than Prefect's own loops wait."""

import asyncio
import logging

import httpx
import prefect.workers.base as prefects_workers
import pytest
from prefect.exceptions import PrefectHTTPStatusError

from flows import worker_program


@pytest.fixture
def loop(monkeypatch):
    """The loop by which Prefect's worker asks for runs, as our program leaves it."""
    monkeypatch.setattr(prefects_workers, "critical_service_loop", worker_program._PREFECTS_LOOP)
    monkeypatch.setattr(worker_program, "_server", worker_program._Server())
    worker_program.outlive_outages()
    return prefects_workers.critical_service_loop


def test_a_worker_outlives_an_outage_and_says_it_once(loop, caplog):
    calls = []

    async def ask():
        calls.append(1)
        if len(calls) <= 10:
            raise httpx.ConnectError("All connection attempts failed")
        if len(calls) == 12:
            raise asyncio.CancelledError

    with caplog.at_level(logging.INFO), pytest.raises(asyncio.CancelledError):
        asyncio.run(loop(workload=ask, interval=0, backoff=4, run_once=False))
    assert caplog.text.count("Prefect's server does not answer") == 1
    assert caplog.text.count("Prefect's server answers again") == 1


def test_a_worker_whose_password_was_changed_says_so_and_goes_on(loop, caplog):
    calls = []

    async def ask():
        calls.append(1)
        if len(calls) == 4:
            raise asyncio.CancelledError
        request = httpx.Request("POST", "http://127.0.0.1/api/work_pools/")
        answer = httpx.Response(401, request=request)
        raise PrefectHTTPStatusError("refused", request=request, response=answer)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(loop(workload=ask, interval=0))
    said = "refuses this worker's PREFECT_API_AUTH_STRING (HTTP 401). Start the worker again"
    assert caplog.text.count(said) == 1


def test_another_error_ends_the_worker(loop):
    async def ask():
        raise RuntimeError("our bug")

    with pytest.raises(RuntimeError, match="our bug"):
        asyncio.run(loop(workload=ask, interval=0))
