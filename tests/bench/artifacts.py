"""How long the commands take that look at a store of many artifacts, and what a sync costs.

    uv run python tests/bench/artifacts.py [20000]

Prints seconds of each command, the start of Python included, and of publishing 200 MB with and
without waiting for the disk.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from unittest import mock

from tasks.core.chain.manifest import Draft, Manifest, Recipe
from tasks.core.chain.store import Store
from tasks.core.files.digests import digest_value
from tasks.core.files.json_files import write_json
from tasks.core.steps import CHAIN

COMMANDS = (("artifacts", "list"), ("artifacts", "gc"), ("plan", "demo"))


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        fill(home / "artifacts", count)
        print(f"{count:,} artifacts")
        for command in COMMANDS:
            wall, busy = seconds_of(command, home)
            print(f"  {' '.join(command):<15} {wall:5.1f} s, {busy:.1f} s of them on a core")
        for name, seconds in publish_large(home / "large"):
            print(f"  {name:<31} {seconds:5.2f} s")


def fill(root: Path, count: int) -> None:
    """Makes artifacts of four small files, evenly of all steps."""
    entry = (10, digest_value("x"))
    files = {f"file{number}.bin": entry for number in range(4)}
    for number in range(count):
        recipe = Recipe(CHAIN[number % len(CHAIN)].name, 1, {}, {"number": number}, {})
        made = {"profile": "demo", "finished": f"2026-11-30T00:00:00.{number:06d}", "seconds": 1}
        manifest = Manifest(
            recipe, recipe.key, "", files, list(files), {}, False, {"tag": "m:1"}, made
        )
        folder = root / recipe.step / recipe.key
        folder.mkdir(parents=True)
        for name in files:
            (folder / name).write_bytes(bytes(10))
        write_json(folder / "manifest.json", asdict(manifest))


def seconds_of(command: tuple[str, ...], home: Path) -> tuple[float, float]:
    """Seconds by the clock, and seconds of a core: others may be at work on this machine."""
    started, busy = time.perf_counter(), children_seconds()
    subprocess.run(
        [sys.executable, "-m", "flows", *command],
        env={**os.environ, "KOSPILOT_HOME": str(home)},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started, children_seconds() - busy


def children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def publish_large(root: Path) -> list[tuple[str, float]]:
    """Publishes 200 MB with and without a sync; both digest them."""
    figures = []
    for name, sync in (("publish 200 MB, synced", True), ("publish 200 MB, not synced", False)):
        store = Store(root / str(sync))
        with store.staging(Recipe("gguf", 1, {}, {}, {}), resumes=False) as folder:
            (folder / "model.gguf").write_bytes(os.urandom(200_000_000))
            made = {"profile": "demo", "finished": "2026"}
            draft = Draft(Recipe("gguf", 1, {}, {}, {}), ("*",), {}, False, {}, made)
            started = time.perf_counter()
            if sync:
                store.publish(folder, draft)
            else:
                with mock.patch("tasks.core.chain.store.sync_folder"):
                    store.publish(folder, draft)
        figures.append((name, time.perf_counter() - started))
    return figures


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
