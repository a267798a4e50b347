"""notify.url is an address that can be posted to, and a secret: who has it can post there."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.settings.notify import without_address
from tasks.core.settings.profiles import load


@pytest.mark.parametrize("url", ["https://hooks.example/T1", "http://127.0.0.1:9/hook"])
def test_an_address_is_taken(url):
    assert load("demo", [f"notify.url={url}"]).settings.notify.address() == url
    assert load("demo").settings.notify.address() == ""


@pytest.mark.parametrize("url", ["hooks.example/T1", "ftp://hooks.example", "https://", "slack"])
def test_what_is_no_address_is_refused_at_once(url):
    with pytest.raises(RequestError, match="it is no address; write https://HOST/PATH"):
        load("demo", [f"notify.url={url}"])


def test_what_is_shown_of_overrides_has_no_address():
    given = ["pairs.rows=12", " notify.url=https://hooks.example/T1", "market.dir=notify.d"]
    assert without_address(given) == ["pairs.rows=12", "market.dir=notify.d"]


SECRET = "https://hooks.example/T1/SECRET"


def test_resolved_settings_show_the_address_to_nobody_but_who_asks_for_it():
    resolved = load("demo", ["pairs.rows=12", f"notify.url={SECRET}"])
    assert resolved.overrides == ("pairs.rows=12",)
    assert resolved.settings.notify.address() == SECRET
    assert "SECRET" not in f"{resolved} {resolved.settings.model_dump(mode='json')}"


@pytest.mark.parametrize("text", ["hooks.example/SECRET", "[SECRET", "https:SECRET: 1\n2"])
def test_a_wrong_address_is_not_repeated(text):
    with pytest.raises(RequestError, match="notify.url") as refused:
        load("demo", [f"notify.url={text}"])
    assert "SECRET" not in str(refused.value)


def test_the_environment_gives_the_address_unless_the_setting_does(monkeypatch):
    monkeypatch.setenv("KOSPILOT_NOTIFY_URL", SECRET)
    assert load("demo").settings.notify.address() == SECRET
    other = load("demo", ["notify.url=http://127.0.0.1:9/hook"])
    assert other.settings.notify.address() == "http://127.0.0.1:9/hook"
    monkeypatch.setenv("KOSPILOT_NOTIFY_URL", "hooks.example/SECRET")
    with pytest.raises(
        RequestError, match="^What KOSPILOT_NOTIFY_URL holds is no address"
    ) as wrong:
        load("demo").settings.notify.address()
    assert "SECRET" not in str(wrong.value)
