"""The webhook's address reaches the program that deploys, and no list of processes."""

from flows import server
from tasks.core.settings.profiles import load

SECRET = "https://hooks.example/T1/SECRET"


def deployed(monkeypatch, tmp_path, *overrides):
    """The command and the environment of the program that deploys."""
    begun = []

    def run_child(command, env, cwd):
        begun.append((command, env))
        return []

    monkeypatch.setattr(server, "run_child", run_child)
    server.put_deployments(tmp_path, {"PREFECT_HOME": "x"}, load("demo", overrides), [])
    return begun[0]


def test_the_address_is_in_the_environment_alone(monkeypatch, tmp_path):
    command, env = deployed(monkeypatch, tmp_path, "pairs.rows=12", f"notify.url={SECRET}")
    assert command[-2:] == ["demo", "pairs.rows=12"]
    assert env == {"PREFECT_HOME": "x", "KOSPILOT_NOTIFY_URL": SECRET}


def test_without_an_address_the_program_gets_none_of_another(monkeypatch, tmp_path):
    _, env = deployed(monkeypatch, tmp_path)
    assert env["KOSPILOT_NOTIFY_URL"] == ""
