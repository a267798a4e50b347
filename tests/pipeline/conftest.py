"""The demo profile, shrunk, run once for all pipeline tests with the real parts: Prefect,
llama.cpp, any Ollama.

The base is two random layers under SmolLM2's tokenizer: these tests are about what runs, and some
of them train.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.server import private_server
from flows.server_files import Record, secret_file, write_record
from tasks.core.chain.manifest import Manifest
from tasks.core.chain.store import Store
from tests.conftest import new_home
from tests.every_step import EVERY_STEP
from tests.release.conftest import demo_base, tiny_base  # noqa: F401

SMALL = (
    *EVERY_STEP,
    "synthesis.rows=24",
    "pairs.rows=12",
    "stage1.token_budget=2500",
    "stage2.token_budget=9000",
    "stage3.token_budget=9000",
    "stage3.effective_batch=2",
    "release.num_predict=128",
    "evaluation.questions=3",
    # random weights never end an answer, and grammars are slow with them
    "evaluation.max_tokens=48",
    "stage2.save_every=1",  # so that a kill finds a checkpoint while there is still work to do
    "stage3.save_every=1",
)


@dataclass(frozen=True)
class Running:
    """A Prefect server that runs, and the home whose secret it has."""

    record: Record
    home: Path


@dataclass(frozen=True)
class Home:
    """A KOSPILOT_HOME and the command run in it."""

    folder: Path
    base: Path

    @property
    def small(self) -> tuple[str, ...]:
        """The settings of every run of the chain."""
        return (*SMALL, f"model.base={self.base}")

    @property
    def store(self) -> Store:
        return Store(self.folder / "artifacts")

    @property
    def other(self) -> Path:
        """The folder that the command is called in: a user's, with settings for another Prefect."""
        folder = self.folder.parent / "other"
        if not folder.exists():
            write_foreign_settings(folder)
        return folder

    @property
    def env(self) -> dict[str, str]:
        foreign = foreign_variables(self.other)
        return {**os.environ, **foreign, "KOSPILOT_HOME": str(self.folder)}

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        command = [sys.executable, "-m", "flows", *arguments]
        return subprocess.Popen(
            command,
            env=self.env,
            cwd=self.other,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def kospilot(
        self, *arguments: str, code: int = 0, folder: Path | None = None
    ) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "flows", *arguments]
        how = {"env": self.env, "cwd": folder or self.other, "capture_output": True, "text": True}
        done = subprocess.run(command, check=False, **how)
        assert done.returncode == code, (
            f"{arguments} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
        return done

    def run(self, *overrides: str, code: int = 0) -> subprocess.CompletedProcess:
        return self.kospilot("run", "demo", *self.small, *overrides, code=code)

    def plan(self, *overrides: str) -> dict[str, dict]:
        told = json.loads(self.kospilot("plan", "demo", *self.small, *overrides, "--json").stdout)
        return {line["step"]: line for line in told["steps"]}

    def newest(self, step: str) -> Manifest:
        return self.store.manifests(step)[-1]

    def made(self) -> dict[str, str]:
        """When each step's newest artifact was made: what did not run again keeps its time."""
        return {
            manifest.recipe.step: manifest.made["finished"] for manifest in self.store.manifests()
        }

    @property
    def figures(self) -> dict[tuple[str, str, str], float]:
        """What the last run told Prometheus: name, step and outcome -> value."""
        told = {}
        text = (self.folder / "metrics" / "kospilot-demo.prom").read_text()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = sample.labels
                key = (sample.name, labels.get("step", ""), labels.get("outcome", ""))
                told[key] = sample.value
        return told

    def path(self, step: str) -> Path:
        return self.store.path(step, self.newest(step).key)

    def copy(self, folder: Path, *without: str) -> "Home":
        """A home of its own with the same artifacts, hard-linked, less those of some steps."""
        new_home(folder)
        for part in ("artifacts", "market", "ollama", "serving"):
            if (self.folder / part).exists():
                # A lock file that is shared would be a shared lock.
                own = shutil.ignore_patterns(".locks", ".staging")
                copied = folder / part
                shutil.copytree(self.folder / part, copied, copy_function=os.link, ignore=own)
        if (self.folder / "prefect").exists():
            shutil.copytree(self.folder / "prefect", folder / "prefect")
        for step in without:
            shutil.rmtree(folder / "artifacts" / step, ignore_errors=True)
        return Home(folder, self.base)

    def record_server(self, server: Running) -> None:
        """Lets the command find a running server, as `kospilot serve` does."""
        (self.folder / "prefect").mkdir()
        shutil.copy2(secret_file(server.home), secret_file(self.folder))
        write_record(self.folder, server.record)

    def forget_server(self) -> None:
        """Lets the command start a server of its own."""
        (self.folder / "prefect" / "server.json").unlink()


def foreign_variables(folder: Path) -> dict[str, str]:
    """What a user may have set for another Prefect, right or wrong."""
    return {
        "PREFECT_SERVER_API_AUTH_STRING": "someone:else",
        "PREFECT_SERVER_API_BASE_PATH": "/elsewhere",
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/users.db",
        "PREFECT_HOME": str(folder / "users"),
        "PREFECT_SERVER_API_PORT": "nonsense",
        "PREFECT_CLIENT_CUSTOM_HEADERS": "nonsense",
        "PREFECT_LOGGING_LEVEL": "nonsense",
        "PREFECT_PROFILE": "nonsense",
        "prefect_api_request_timeout": "nonsense",
        "WEB_CONCURRENCY": "4",
    }


def write_foreign_settings(folder: Path) -> None:
    """The same in the files that Prefect reads in the current folder."""
    folder.mkdir()
    lines = [f"{name}={value}" for name, value in foreign_variables(folder).items()]
    (folder / ".env").write_text("\n".join(lines))
    database = f'database.connection_url = "sqlite+aiosqlite:///{folder}/users.db"'
    table = f'home = "{folder}/users"\n{{}}server]\n{database}\napi.port = "nonsense"\n'
    (folder / "prefect.toml").write_text(table.format("["))
    (folder / "pyproject.toml").write_text("[tool.prefect]\n" + table.format("[tool.prefect."))


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory) -> Iterator[Running]:
    """One Prefect server for the runs of all these tests: starting one takes seconds.

    It starts where a user has settings for another Prefect, and with a damaged database.
    """
    home = tmp_path_factory.mktemp("prefect")
    (home / "prefect").mkdir()
    (home / "prefect" / "prefect.db").write_bytes(b"no database " * 1000)
    other = home / "other"
    write_foreign_settings(other)
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in foreign_variables(other).items():
                patch.setenv(name, value)
            patch.chdir(other)
            record = stack.enter_context(private_server(home))
        yield Running(record, home)


@pytest.fixture(scope="session")
def finished(tiny_base, prefect_server, tmp_path_factory) -> Home:  # noqa: F811
    """A home in which the whole chain has run once. Tests leave it as they found it, or copy it."""
    home = Home(new_home(tmp_path_factory.mktemp("kospilot") / "home"), tiny_base)
    home.record_server(prefect_server)
    home.run()
    return home
