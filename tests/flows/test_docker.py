"""docker/ starts commands that there are, with options that they have, on the versions tested."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

import flows
from flows.cli import app

CODE = Path(flows.__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((CODE / "docker" / "compose.yaml").read_text())["services"]
DOCKERFILE = (CODE / "docker" / "Dockerfile").read_text()


def filled(text):
    """What compose makes of ${NAME:-default}."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def commands():
    started = [filled(service["command"]) for service in COMPOSE.values() if "command" in service]
    unit = (CODE / "docker" / "kospilot.service").read_text()
    [command] = re.findall(r"^ExecStart=\S*/(kospilot .*)$", unit, re.M)
    [image] = re.findall(r'^CMD \["(.*)"\]$', DOCKERFILE, re.M)
    started += [command.replace("$KOSPILOT_DEPLOYED", "demo"), image.replace('", "', " ")]
    return [command for command in started if command.startswith("kospilot ")]


@pytest.mark.parametrize("command", commands())
def test_what_a_container_starts_is_a_command_of_ours(command):
    _, name, *arguments = shlex.split(command)
    known = typer.main.get_command(app).commands[name]
    known.make_context(name, arguments)  # raises a usage error


def test_every_part_is_there_and_no_image_floats():
    assert set(COMPOSE) == {
        *("postgres", "redis", "migrate", "server", "services", "deploy"),
        *("worker-cpu", "worker-gpu", "ollama"),
    }
    images = [service["image"] for service in COMPOSE.values()]
    images += re.findall(r"^ARG PYTHON_IMAGE=(.*)$", DOCKERFILE, re.M)
    foreign = [image for image in images if not image.startswith("kospilot:")]
    assert len(foreign) == 4
    assert all(re.search(r":\d+\.\d+\.?\d*", image) for image in foreign)
    assert all("PASSWORD" not in str(COMPOSE[name].get("command")) for name in COMPOSE)


def test_no_note_of_the_example_becomes_a_value():
    """Compose takes what stands behind an empty value for the value, a note with its # too."""
    example = (CODE / "docker" / "env.example").read_text().splitlines()
    values = dict(line.split("=", 1) for line in example if re.match(r"\w+=", line))
    assert values == {
        "KOSPILOT_PASSWORD": "",
        "POSTGRES_PASSWORD": "",
        "KOSPILOT_DEPLOYED": "demo",
        "KOSPILOT_TRAINING": "cpu",
    }


def test_a_database_that_is_being_set_up_is_not_healthy():
    """PostgreSQL's image first answers on its socket alone."""
    _, *check = COMPOSE["postgres"]["healthcheck"]["test"]
    assert check == ["pg_isready", "-h", "127.0.0.1", "-U", "prefect"]


def test_a_container_ends_as_a_user_without_rights():
    stages = re.split(r"^FROM .* AS (\w+)$", DOCKERFILE, flags=re.M)
    users = {name: re.findall(r"^USER (\d+)$", text, re.M) for name, text in _pairs(stages[1:])}
    assert users["cpu"][-1] == users["cuda"][-1] == "10001"


def test_the_image_has_the_versions_that_shape_the_result():
    lines = (CODE / "docker" / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    project = tomllib.loads((CODE / "pyproject.toml").read_text())["project"]
    exact = [need.split("==") for need in project["dependencies"] if re.search("^[^;]+==", need)]
    assert {name: pinned[name] for name, _ in exact} == dict(exact)
    [torch] = re.findall(r"torch==([\d.]+)", DOCKERFILE)
    assert torch == pinned["torch"]


def _pairs(flat):
    return list(zip(flat[::2], flat[1::2], strict=True))
