"""notify.url is an address that can be posted to."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.settings.notify import without_address
from tasks.core.settings.profiles import load


@pytest.mark.parametrize("url", ["https://hooks.example/T1", "http://127.0.0.1:9/hook"])
def test_an_address_is_taken(url):
    assert load("demo", [f"notify.url={url}"]).settings.notify.url == url
    assert load("demo").settings.notify.url == ""


@pytest.mark.parametrize("url", ["hooks.example/T1", "ftp://hooks.example", "https://", "slack"])
def test_what_is_no_address_is_refused_at_once(url):
    with pytest.raises(RequestError, match="it is no address; write https://HOST/PATH"):
        load("demo", [f"notify.url={url}"])


def test_what_is_shown_of_overrides_has_no_address():
    given = ["pairs.rows=12", " notify.url=https://hooks.example/T1", "market.dir=notify.d"]
    assert without_address(given) == ["pairs.rows=12", "market.dir=notify.d"]
