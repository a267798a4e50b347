"""KOSPILOT_HOME, and users who have no home directory."""

import pwd

import pytest

from tasks.core.errors import RequestError
from tasks.core.settings.home import kospilot_home


def test_an_unknown_users_folder_is_refused(monkeypatch):
    monkeypatch.setenv("KOSPILOT_HOME", "~no-such-user/kospilot")
    with pytest.raises(RequestError, match=r"~no-such-user/kospilot names no folder.*Set KOSPILOT"):
        kospilot_home()


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    def no_entry(number):
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("KOSPILOT_HOME")
    with pytest.raises(RequestError, match=r"^~/.kospilot names no folder.*Set KOSPILOT_HOME to"):
        kospilot_home()
