"""kill -9 in each step of the chain: the same command ends with the same digest, and nothing is
left behind.

    python -m tests.pipeline.kills PLACE embedded|ollama [STEP…]

PLACE is a new folder, or one in which this program ran. The chain of conftest.py is made in it,
step by step, by `kospilot run`. Each step, or only those named, is then made again from where it
began: killed at three moments, and run again. A private Ollama is killed under the steps that ask
it, at three moments too. A line is printed for each kill; the exit code is 1 if one was not as it
should be. The suite's own test takes one quick step only.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from flows.server import private_server
from tasks.core.data.base_model.folder import fetch_base
from tasks.core.records.artifacts import no_progress
from tasks.core.steps import CHAIN
from tests.conftest import USERS_HOME
from tests.pipeline.conftest import Home, Running
from tests.release.conftest import write_tiny_base

_TOOLS = {"embedded": ("llama.cpp-*",), "ollama": ("llama.cpp-*", "ollama-*")}
_NOT_COPIED = (".locks", "logs", "prefect", "tmp")
_PLACES = {"artifacts/.locks", "artifacts/.staging", "artifacts/.trash", "logs", "prefect", "tmp"}
"""Folders of a home that stay, whatever lies in them."""
_PATIENCE_S = 20  # for what ends with its parent
_HOURS_AGO_S = 7200  # gc takes what wrote nothing for an hour for abandoned


@dataclass(frozen=True)
class Moment:
    """When a process is killed: after this share of the step's usual time, or, if there is none,
    when its artifact is whole and has only to be renamed.
    """

    victim: str
    share: float | None

    def __str__(self) -> str:
        when = "as it publishes" if self.share is None else f"at {100 * self.share:.0f} %"
        return f"{self.victim} {when}"


@dataclass(frozen=True)
class Bench:
    """One run of this program: its folders, and the Prefect server that the commands report to."""

    place: Path
    server: str
    prefect: Running

    @property
    def home(self) -> Home:
        """The home of every command: Ollama writes its own path into the models that it makes."""
        return Home(self.place / "home", self.place / "tiny" / "base")

    def begin(self, before: Path) -> Home:
        """Returns the home, which is a copy of `before` now."""
        home = self.home
        shutil.rmtree(home.folder, ignore_errors=True)
        copy_home(before, home.folder)
        (home.folder / "tmp").mkdir()
        home.record_server(self.prefect)
        return home


def copy_home(home: Path, folder: Path) -> None:
    """Copies a home without what is a server's or a living process's."""
    ignored = shutil.ignore_patterns(*_NOT_COPIED)
    shutil.copytree(home, folder, symlinks=True, ignore=ignored)


def start(home: Home, step: str) -> subprocess.Popen[str]:
    """Starts the command that makes one step; what it says goes to HOME/logs/said."""
    command = [sys.executable, "-m", "flows", "run", "demo", *home.small, "--only", step]
    (home.folder / "logs").mkdir(exist_ok=True)
    with (home.folder / "logs" / "said").open("w", encoding="utf-8") as log:
        how = {"env": home.env, "cwd": home.other, "stdout": log, "stderr": log, "text": True}
        return subprocess.Popen(command, **how)


def said(home: Home) -> str:
    """What the latest command said."""
    return (home.folder / "logs" / "said").read_text(encoding="utf-8")


def make(home: Home, step: str) -> str:
    """Makes the step and returns its content's digest."""
    code = start(home, step).wait()
    assert code == 0, f"{step} exited with {code}:\n{said(home)}"
    return home.newest(step).digest


def kill(home: Home, step: str, is_due: Callable[[float], bool], victim: str = "kospilot") -> str:
    """Starts a step, kills the victim when it is due, and waits until all processes are gone.

    is_due is asked from when on the step is built, with the seconds since then.
    Returns what there was to see.
    """
    process = start(home, step)
    began = None
    while process.poll() is None:
        if began is None and is_building(home, step):
            began = time.monotonic()
        if began is not None and is_due(time.monotonic() - began):
            others = [other for other in processes(home) if other.pid != process.pid]
            if _kill(process, others, victim):
                code = process.wait()
                wait_until_gone(home)
                assert "Traceback" not in said(home), said(home)
                return f"exited with {code}, {len(others)} other processes gone"
        time.sleep(0.002)
    return "TOO LATE"


def _kill(process: subprocess.Popen[str], others: list[psutil.Process], victim: str) -> bool:
    """Whether the victim was there to be killed."""
    if victim == "kospilot":
        process.kill()
        return True
    servers = [other for other in others if other.is_running() and other.name() == victim]
    for server in servers:
        server.kill()
    return bool(servers)


def is_building(home: Home, step: str) -> bool:
    """Whether an attempt at the step lies in staging."""
    return any(home.store.root.glob(f".staging/{step}-*"))


def is_publishing(home: Home, step: str) -> bool:
    """Whether an attempt is whole and has only to be renamed."""
    return any(home.store.root.glob(f".staging/{step}-*/manifest.json"))


def processes(home: Home) -> list[psutil.Process]:
    """Every process that was started for this home, whoever its parent is by now."""
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get("KOSPILOT_HOME") == str(home.folder)
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def running(home: Home, program: str) -> psutil.Process | None:
    """A process of this home that has the program in its command line."""
    for process in processes(home):
        with suppress(psutil.Error):  # it ended since it was listed
            if program in " ".join(process.cmdline()):
                return process
    return None


def wait_until_gone(home: Home) -> None:
    """Fails if a process of this home does not end."""
    deadline = time.monotonic() + _PATIENCE_S
    while processes(home):
        assert time.monotonic() < deadline, f"{processes(home)} outlive the command"
        time.sleep(0.1)


def paths(home: Home) -> set[str]:
    """All that lies in a home but for logs, Prefect's, runs' figures, and locks of artifacts, which
    stay, and TensorBoard's files, which are named by the time.
    """
    found = set()
    for path in home.folder.rglob("*"):
        name = str(path.relative_to(home.folder))
        is_lock = name.startswith("artifacts/.locks/") and "/run-" not in name
        is_log = name.startswith(("logs/", "prefect/", "metrics")) or ".tfevents." in name
        if not (is_lock or is_log):
            found.add(name)
    return found - _PLACES


def left_behind(home: Home, usual: set[str]) -> set[str]:
    """What a home has beyond what is usual, and `artifacts gc` does not remove hours later."""
    more = paths(home) - usual
    ago = time.time() - _HOURS_AGO_S
    for name in more:
        os.utime(home.folder / name, (ago, ago), follow_symlinks=False)
    if more:
        home.kospilot("artifacts", "gc", "--attempts", "--yes")
    return more & paths(home)


def moments_of(step: str, server: str) -> list[Moment]:
    """When the step is killed, and the Ollama that it asks."""
    moments = [Moment("kospilot", share) for share in (0.25, 0.65, None)]
    asking = {other.name for other in CHAIN if other.asks_server}
    if server == "ollama" and step in asking:
        moments += [Moment("ollama", share) for share in (0.3, 0.55, 0.8)]
    return moments


def make_chain(bench: Bench, first: Path) -> dict[str, tuple[Path, Path]]:
    """Makes the steps one after the other, undisturbed, unless a run of this program did.

    Returns for each the home before it and the one after it.
    """
    homes = {}
    before = first
    for step in list(bench.begin(first).plan()):
        after = bench.place / f"after-{step}"
        if not after.exists():
            home = bench.begin(before)
            make(home, step)
            copy_home(home.folder, after)
            print(f"{step:10} | undisturbed | {home.newest(step).made['seconds']} s", flush=True)
        homes[step] = (before, after)
        before = after
    return homes


def kill_step(bench: Bench, step: str, before: Path, after: Path) -> bool:
    """Makes a step once for each kill, and returns whether all ended as the undisturbed one did."""
    undisturbed = Home(after, bench.home.base)
    is_well = True
    for moment in moments_of(step, bench.server):
        home = bench.begin(before)
        outcome = ""
        try:
            outcome = kill_at(home, step, moment, undisturbed.newest(step).made["seconds"])
            assert make(home, step) == undisturbed.newest(step).digest, "another digest"
            left = left_behind(home, paths(undisturbed))
            assert not left, f"left: {sorted(left)}"
            verdict = "the same digest, nothing left"
        except AssertionError as error:
            verdict = f"WRONG: {error}"
            is_well = False
        print(" | ".join([f"{step:10}", str(moment), outcome, verdict]), flush=True)
    return is_well


def kill_at(home: Home, step: str, moment: Moment, seconds: float) -> str:
    """Kills a step at a moment, where an undisturbed one takes so many seconds."""

    def is_due(passed: float) -> bool:
        if moment.share is None:
            return is_publishing(home, step)
        return passed > moment.share * seconds

    return kill(home, step, is_due, moment.victim)


def make_first(place: Path, server: str) -> Path:
    """Returns a home with tools only, and puts a tiny base model beside it."""
    first = place / "first"
    if not first.exists():
        fetch_base("demo", place / "demo", no_progress, USERS_HOME / "downloads")
        write_tiny_base(place / "tiny" / "base", place / "demo")
        for name in ("downloads", "tools"):
            (first / name).mkdir(parents=True)
        for pattern in _TOOLS[server]:
            for tool in (USERS_HOME / "tools").glob(pattern):
                (first / "tools" / tool.name).symlink_to(tool)
    return first


def main(place: Path, server: str, chosen: list[str]) -> int:
    """Makes the chain, and each chosen step again for each kill."""
    first = make_first(place, server)
    prefect = place / "prefect"
    prefect.mkdir(exist_ok=True)
    is_well = True
    with private_server(prefect) as record:
        bench = Bench(place, server, Running(record, prefect))
        os.environ["TMPDIR"] = str(bench.home.folder / "tmp")
        for step, homes in make_chain(bench, first).items():
            if not chosen or step in chosen:
                is_well &= kill_step(bench, step, *homes)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3:]))
