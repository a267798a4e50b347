"""Prefect's settings for our servers and for what talks to them: ours, and no others.

Prefect reads PREFECT_ variables, and .env, prefect.toml and pyproject.toml of the current folder.
What a user has there is meant for another Prefect, whose database it may even name. Importing this
module does not import Prefect: the environment has to be settled before that happens.
"""

import contextlib
import importlib.metadata
import os
import socket
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

import httpx

from flows import log_lines
from flows.console import say
from flows.server_files import prefect_folder, read_record, secret
from tasks.core.errors import WorkError
from tasks.core.processes.http import (
    Limits,
    bracketed,
    fetch,
    http_client,
    is_loopback,
    one_line,
    without_user,
)

_LIMITS = Limits(10.0, 1 << 20)
_NAMED = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_API_KEY")
_SERVERS_PASSWORD = "PREFECT_SERVER_API_AUTH_STRING"
_SERVERS_OWN = (
    "PREFECT_SERVER_",
    "PREFECT_API_DATABASE_",  # as Prefect also calls PREFECT_SERVER_DATABASE_
    "PREFECT_MESSAGING_",
    "PREFECT_REDIS_",
    "PREFECT_UI_",
)
_LEASES = "prefect.server.concurrency.lease_storage.filesystem"


def base_settings(home: Path) -> dict[str, str]:
    """What every Prefect process of ours knows: all state under our home, nothing sent out."""
    return {
        "PREFECT_HOME": str(prefect_folder(home)),
        "PREFECT_PROFILES_PATH": os.devnull,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks",
        # The demo's last question belongs to no run.
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "KOSPILOT_HOME": str(home),
        # The pictures' library would put its list of fonts into the user's home.
        "MPLCONFIGDIR": str(home / "matplotlib"),
        # A worker's runs look for a relative path where the person stands.
        "KOSPILOT_FOLDER": os.getcwd(),
        **log_lines.prefect_settings(),
    }


def client_settings(home: Path, url: str) -> dict[str, str]:
    """What talks to the server of this home at `url`."""
    own = {"PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": secret(home)}
    return {**base_settings(home), **own}


def server_settings(home: Path, port: int, with_ui: bool) -> dict[str, str]:
    """What a server on this port knows: its secret, and whose web pages it answers.

    Concurrency slots are kept on disk and survive a restart of the server.
    """
    pages = [f"http://127.0.0.1:{port}", f"http://localhost:{port}"]
    return {
        **base_settings(home),
        "PREFECT_SERVER_API_AUTH_STRING": secret(home),
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(pages),
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": _LEASES,
        "PREFECT_SERVER_METRICS_ENABLED": "true",
        "PREFECT_SERVER_UI_ENABLED": str(with_ui).lower(),
        # Notices link to it.
        "PREFECT_UI_URL": pages[0],
        # The UI in the browser asks this address, whatever the port.
        "PREFECT_SERVER_UI_API_URL": f"{pages[0]}/api",
        # Prefect would write its pages into its own package.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(prefect_folder(home) / "ui"),
    }


def lone_server_settings(home: Path, host: str, port: int) -> dict[str, str]:
    """What a server knows that `kospilot server` starts: ours, and what the user has set for it."""
    settings = server_settings(home, port, with_ui=True)
    # The UI asks whatever address it came from.
    settings["PREFECT_SERVER_UI_API_URL"] = "/api"
    name = bracketed(host) if is_loopback(host) else socket.gethostname()
    settings["PREFECT_UI_URL"] = f"http://{name}:{port}"
    for name, value in os.environ.items():
        if name.upper().startswith(_SERVERS_OWN) and value:
            settings[name.upper()] = value
    return settings


def forget_foreign_settings() -> None:
    """Drops all PREFECT_ variables, however they are spelt, from this process and its children."""
    for name in list(os.environ):
        if name.upper().startswith("PREFECT_"):
            del os.environ[name]


def import_prefect(settings: dict[str, str]) -> None:
    """Lets this process's Prefect know these settings only.

    Prefect reads the files of the current folder once, when it is imported.
    """
    forget_foreign_settings()
    # A person sees flows/console's words instead of Prefect's log.
    os.environ.update({**settings, "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"})
    folder = Path(settings["PREFECT_HOME"])
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        import prefect.context  # noqa: F401, PLC0415 - see the module's docstring


def recorded_server(home: Path) -> str | None:
    """The API address of the server that `kospilot serve` started, if it is still that server."""
    record = read_record(home)
    if record is None or not record.is_running():
        return None
    return None if _problem(record.url, {"PREFECT_API_AUTH_STRING": secret(home)}) else record.url


def known_server(home: Path, purpose: str) -> dict[str, str] | None:
    """The settings of the server that PREFECT_API_URL names, else of the recorded one; None without
    either. purpose: what the server is used for, as a sentence's beginning.
    """
    recorded = recorded_server(home)
    if recorded is None or recorded != os.environ.get("PREFECT_API_URL"):
        instead = "`kospilot serve`'s is used" if recorded else "No other server is there"
        named = named_server(purpose, instead)
        if named:
            return {**base_settings(home), **named}
    return client_settings(home, recorded) if recorded else None


def server_to_use(home: Path, purpose: str) -> dict[str, str]:
    """The settings of the server that PREFECT_API_URL names, else of the recorded one.

    Raises WorkError if there is none, or if the named one cannot be used: it alone is meant.
    """
    recorded = recorded_server(home)
    named = _named()
    if named and named["PREFECT_API_URL"] != recorded:
        shown = without_user(named["PREFECT_API_URL"])
        problem = _problem(named["PREFECT_API_URL"], named)
        if problem:
            raise WorkError(f"PREFECT_API_URL={shown} cannot be used: {problem}.")
        say(f"PREFECT_API_URL: {purpose} {shown}.")
        return {**base_settings(home), **named}
    if recorded is None:
        raise WorkError(
            "There is no server to use. Start one with `kospilot server`, on any machine, and name"
            " it: PREFECT_API_URL=http://HOST:4200/api, with PREFECT_API_AUTH_STRING=USER:PASSWORD."
        )
    return client_settings(home, recorded)


def named_server(
    purpose: str = "the run is reported to", instead: str = "kospilot uses a server of its own"
) -> dict[str, str] | None:
    """The settings of the server that PREFECT_API_URL names, if it can be used.

    Says on the screen what becomes of the variable; `instead` is what happens if it cannot be used.
    """
    named = _named()
    if named is None:
        return None
    shown = without_user(named["PREFECT_API_URL"])
    problem = _problem(named["PREFECT_API_URL"], named)
    if problem:
        say(f"! PREFECT_API_URL={shown} is not used: {problem}. {instead}.")
        return None
    say(f"PREFECT_API_URL: {purpose} {shown}.")
    return named


def _named() -> dict[str, str] | None:
    """PREFECT_API_URL and what is obeyed with it: PREFECT_API_AUTH_STRING, PREFECT_API_KEY and,
    where the server's own password is set, that. None if no server is named.
    """
    named = {name: os.environ[name] for name in _NAMED if os.environ.get(name)}
    if "PREFECT_API_URL" not in named:
        return None
    if os.environ.get(_SERVERS_PASSWORD) and len(named) == 1:
        named["PREFECT_API_AUTH_STRING"] = os.environ[_SERVERS_PASSWORD]
    named["PREFECT_API_URL"] = named["PREFECT_API_URL"].rstrip("/")
    return named


def authorization(settings: Mapping[str, str]) -> dict[str, str]:
    """The HTTP header by which a client is known; none without a secret."""
    if "PREFECT_API_AUTH_STRING" in settings:
        credentials = b64encode(settings["PREFECT_API_AUTH_STRING"].encode()).decode()
        return {"Authorization": f"Basic {credentials}"}
    if "PREFECT_API_KEY" in settings:
        return {"Authorization": f"Bearer {settings['PREFECT_API_KEY']}"}
    return {}


def _problem(url: str, settings: dict[str, str]) -> str:
    """Why no Prefect server that we can use answers at an address, and what to do; empty if one
    does.
    """
    headers = authorization(settings)
    try:
        with http_client(url, httpx.Timeout(_LIMITS.seconds)) as client:
            health = fetch(client, "GET", f"{url}/health", _LIMITS, headers=headers)
            version = fetch(client, "GET", f"{url}/admin/version", _LIMITS, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        reason = one_line(without_user(str(error))) or type(error).__name__
        return f"no server answers there ({reason}). `kospilot server` starts one on its machine"
    if version.status_code in (401, 403):
        return _password_problem(settings, version.status_code)
    if health.status_code != 200 or health.text.strip() != "true":
        return (
            f"what answers there is no Prefect server (HTTP {health.status_code}). The address of"
            " one ends with /api: http://HOST:4200/api"
        )
    return _version_problem(version)


def _password_problem(settings: dict[str, str], status: int) -> str:
    if "PREFECT_API_KEY" in settings and "PREFECT_API_AUTH_STRING" not in settings:
        return f"it does not accept PREFECT_API_KEY (HTTP {status}). Set it to a key of yours there"
    fault = "it wants another PREFECT_API_AUTH_STRING"
    if "PREFECT_API_AUTH_STRING" not in settings:
        fault = "it wants a PREFECT_API_AUTH_STRING, and none is set"
    return (
        f"{fault} (HTTP {status}). Set it to USER:PASSWORD as in the server's"
        " PREFECT_SERVER_API_AUTH_STRING, or else in its KOSPILOT_HOME/prefect/secret"
    )


def _version_problem(answer: httpx.Response) -> str:
    """Prefect's client refuses a server of another major version; Prefect Cloud names none."""
    ours = importlib.metadata.version("prefect")
    theirs = answer.text.strip().strip('"') if answer.status_code == 200 else ours
    if theirs.partition(".")[0] == ours.partition(".")[0]:
        return ""
    shown = one_line(theirs)[:20]
    return (
        f"it is Prefect {shown}, and this is {ours}. `kospilot server` starts one of this version"
    )
