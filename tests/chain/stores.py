"""Stores of a few bytes for the tests of this room."""

import os
import time

from tasks.core.chain.manifest import Draft, Recipe


def recipe(step="quantize", **settings):
    return Recipe(step, 1, {}, settings, {})


def publish(store, made, files, content=("*.bin",), **draft):
    """Publishes files (path -> text); draft: profile, finished, lineage, expendable, metrics."""
    with store.staging(made, resumes=False) as folder:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        finished = draft.get("finished", "2026-11-30T05:29:57.500+00:00")
        how = {"profile": draft.get("profile", "demo"), "finished": finished, "seconds": 1}
        lineage, metrics = draft.get("lineage", {}), draft.get("metrics", {})
        expendable = draft.get("expendable", False)
        return store.publish(folder, Draft(made, content, lineage, expendable, metrics, how))


def flip_bit(file, with_old_times=False):
    """Changes one bit of a file, as a failing disk or cable would, and no byte of its size."""
    before = file.stat()
    time.sleep(0.02)  # the clock of file systems has steps of some milliseconds
    with file.open("r+b") as opened:
        opened.seek(before.st_size // 2)
        (byte,) = opened.read(1)
        opened.seek(before.st_size // 2)
        opened.write(bytes([byte ^ 1]))
    if with_old_times:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
