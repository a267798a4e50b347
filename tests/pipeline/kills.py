"""kill -9 in each step of a release: the same digests at the end, and no process left behind.

    KOSPILOT_HOME=HOME python -m tests.pipeline.kills HOME OVERRIDE…

HOME is one in which `kospilot run demo OVERRIDE…` has ended. It stays as it is: the release is made
again in a copy of it, each step killed at several moments, and a line is printed for each.
The suite's own test takes the quickest of these steps only.

    python -m tests.pipeline.kills --step STEP MOMENT OVERRIDE…

is one step in a process of its own, which kills itself when its progress matches MOMENT.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tasks.core.chain.produce import find_inputs, produce
from tasks.core.chain.store import Store
from tasks.core.preflight.prepare import prepare
from tests.conftest import new_home

MOMENTS = {
    "merge": (r"^0\.9", r"^1\.00"),
    "gguf": ("reading", "written"),
    "imatrix": ("tokens read", r"[5-9],\d+ / "),
    "quantize": (r"^0\..* tensors", r"^1\.00 20 / 20"),
    "parity": ("adapter: ", "merge: ", "gguf: ", "served replies"),
    "register": (r"MB uploaded", "parsing|writing|success", "proving the prompts"),
}
"""Step -> patterns of what its progress says when it is killed."""

_PATIENCE_S = 15  # for what ends with its parent


def run_step(step: str, moment: str, overrides: tuple[str, ...]) -> None:
    """Makes the step's artifact in this process, or dies at the moment; "" is none."""

    def watch(share: float, text: str) -> None:
        if moment and re.search(moment, f"{share:.2f} {text}"):
            children = psutil.Process().children(recursive=True)
            print("killed", *(child.pid for child in children), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    run = prepare("demo", overrides)
    produce(run, step, find_inputs(run, [step]), watch)


def kill_step(home: Path, step: str, moment: str, overrides: tuple[str, ...]) -> int:
    """Kills the step at a moment and returns how many children it had; none of them stays."""
    done = _start(home, step, moment, overrides)
    assert done.returncode == -signal.SIGKILL, f"{step} {moment!r}: {done.stdout}{done.stderr}"
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("killed")]
    children = [int(number) for number in line.split()[1:]]
    wait_until_gone(children)
    return len(children)


def finish_step(home: Path, step: str, overrides: tuple[str, ...]) -> str:
    """Runs the step to its end and returns its content's digest; no attempt of it stays."""
    done = _start(home, step, "", overrides)
    assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
    store = Store(home / "artifacts")
    assert not list(store.root.glob(f".staging/{step}-*"))
    return store.manifests(step)[-1].digest


def wait_until_gone(pids: list[int]) -> None:
    """Fails if one of these processes does not end."""
    deadline = time.monotonic() + _PATIENCE_S
    left = [pid for pid in pids if _runs(pid)]
    while left:
        assert time.monotonic() < deadline, f"processes {left} outlived their parent"
        time.sleep(0.1)
        left = [pid for pid in left if _runs(pid)]


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _start(
    home: Path, step: str, moment: str, overrides: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.pipeline.kills", "--step", step, moment, *overrides]
    env = {**os.environ, "KOSPILOT_HOME": str(home)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def copy_without(home: Path, folder: Path, steps: tuple[str, ...]) -> Path:
    """A home with the same artifacts, hard-linked, less those of these steps, and no server's."""
    new_home(folder)
    for part in ("artifacts", "market"):
        own = shutil.ignore_patterns(".locks", ".staging", *steps)
        shutil.copytree(home / part, folder / part, copy_function=os.link, ignore=own)
    return folder


def main(finished: Path, *overrides: str) -> None:
    """Prints a line for each kill, and whether the digest is that of the finished home."""
    whole = Store(finished / "artifacts")
    with tempfile.TemporaryDirectory(dir=finished.parent) as place:
        home = copy_without(finished, Path(place) / "home", tuple(MOMENTS))
        for step, moments in MOMENTS.items():
            digest = whole.manifests(step)[-1].digest
            if step == "register":
                digest = _registered_here(home, overrides)
            for moment in moments:
                children = kill_step(home, step, moment, overrides)
                print(f"{step:9} killed at {moment!r}: {children} children gone", flush=True)
            same = finish_step(home, step, overrides) == digest
            print(f"{step:9} run again: {'the same digest' if same else 'ANOTHER DIGEST'}")


def _registered_here(home: Path, overrides: tuple[str, ...]) -> str:
    """The digest of an undisturbed registration, which is undone: Ollama writes the path of its own
    folder into a model, so that no two homes have the same.
    """
    digest = finish_step(home, "register", overrides)
    for made in ("artifacts/register", "ollama", "serving"):
        shutil.rmtree(home / made, ignore_errors=True)
    return digest


if __name__ == "__main__":
    if sys.argv[1] == "--step":
        run_step(sys.argv[2], sys.argv[3], tuple(sys.argv[4:]))
    else:
        main(Path(sys.argv[1]), *sys.argv[2:])
