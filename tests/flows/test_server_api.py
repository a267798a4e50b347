"""What serve asks of its server: asked again while its database is locked, and not for ever."""

import httpx
import pytest

from flows import server_api
from flows.server_api import post


@pytest.fixture
def ask(monkeypatch):
    """Posts to a server that gives these answers, one after the other; returns how many it gave."""
    monkeypatch.setattr(server_api, "_PAUSE_S", 0.0)

    def asked(*statuses):
        given = []

        def answer(request):
            given.append(statuses[len(given)])
            return httpx.Response(given[-1], json={"answer": len(given)})

        client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://server/api")
        return post(client, "/flow_runs/filter", {})["answer"]

    return asked


def test_a_locked_database_is_asked_again(ask):
    assert ask(200) == 1
    assert ask(503, 503, 201) == 3
    with pytest.raises(httpx.HTTPStatusError, match="503"):
        ask(503, 503, 503, 503, 503)
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        ask(422)
