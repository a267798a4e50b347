"""The rows of all kinds, made by this process and, if they are many, by a second one beside it.

Each takes the largest kind that is left until none is, so that both end together. No byte of the
rows depends on who makes them. As a program (python -m tasks.core.synthesis.sharing FOLDER) this is
the second process: FOLDER has its job.json, and gets KIND.jsonl.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_encoded, read_json, write_encoded, write_json
from tasks.core.files.scratch import scratch_folder
from tasks.core.kinds import KINDS
from tasks.core.processes.child import start_child, stop_child, wait_for_program
from tasks.core.processes.reporting import tell_error
from tasks.core.settings.synthesis import Synthesis
from tasks.core.synthesis.kind_rows import Material, Quota, lines_of, shares

FEWEST_SHARED = 1_500
"""Rows from which a second process is worth its start, which takes as long as 500 rows."""

_JOB = "job.json"


@dataclass(frozen=True)
class Source:
    """The files that a Material is read from."""

    train: Path
    tokenizer_file: Path


def lines_of_all(quotas: Sequence[Quota], material: Material, source: Source) -> list[bytes]:
    """Returns all kinds' rows as lines of rows.jsonl, in the order of the quotas.

    Raises WorkError if a row cannot be proven, or no scene fits the token budget.
    """
    if sum(quota.rows for quota in quotas) < FEWEST_SHARED or cores() < 2:
        return [line for quota in quotas for line in lines_of(quota, material)]
    with scratch_folder() as scratch:
        folder = Path(scratch)
        _share(quotas, material, source, folder)
        return [line for quota in quotas for line in read_encoded(_lines_file(folder, quota))]


def cores() -> int:
    """Returns how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _share(quotas: Sequence[Quota], material: Material, source: Source, folder: Path) -> None:
    """Makes all kinds in two processes. The second ends with this one, whatever happens."""
    job = {name: str(file) for name, file in vars(source).items()}
    write_json(folder / _JOB, {**job, "synthesis": material.synthesis.model_dump()})
    with start_child([sys.executable, "-m", "tasks.core.synthesis.sharing", folder]) as second:
        try:
            for quota in _by_size(quotas):
                if second.poll():  # it failed, and says why when it is waited for
                    break
                _make_if_left(quota, material, folder)
            wait_for_program(second)
        finally:
            stop_child(second)


def _by_size(quotas: Sequence[Quota]) -> list[Quota]:
    return sorted(quotas, key=lambda quota: -quota.rows)


def _make_if_left(quota: Quota, material: Material, folder: Path) -> None:
    """Makes a kind, unless the other process has taken it."""
    try:
        (folder / f"{quota.kind.name}.taken").touch(exist_ok=False)
    except FileExistsError:
        return
    write_encoded(_lines_file(folder, quota), lines_of(quota, material))


def _lines_file(folder: Path, quota: Quota) -> Path:
    return folder / f"{quota.kind.name}.jsonl"


def main(folder: Path) -> int:
    """Is the second process; returns its exit code."""
    job = read_json(folder / _JOB)
    synthesis = Synthesis(**job["synthesis"])
    material = Material.of(Path(job["train"]), Path(job["tokenizer_file"]), synthesis)
    try:
        for quota in _by_size(shares(KINDS, synthesis.rows, synthesis.korean_share)):
            _make_if_left(quota, material, folder)
    except WorkError as error:
        tell_error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
