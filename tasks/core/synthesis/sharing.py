"""The rows of all kinds, made by this process and, if they are many, by a second one beside it.

Each takes the largest kind that is left until none is, so that both end together. No byte of the
rows depends on who makes them. As a program (python -m tasks.core.synthesis.sharing FOLDER) this is
the second process: FOLDER has its job.json, and gets KIND.jsonl.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_encoded, read_json, write_encoded, write_json
from tasks.core.files.scratch import scratch_folder
from tasks.core.kinds import KINDS
from tasks.core.processes.child import start_child, stop_child, wait_for_program
from tasks.core.processes.cores import cores
from tasks.core.processes.reporting import tell_error
from tasks.core.settings.synthesis import Synthesis
from tasks.core.synthesis.kind_rows import Material, Quota, Source, lines_of, shares

FEWEST_SHARED = 1_500
"""Rows from which a second process is worth its start, which takes as long as 500 rows."""

_JOB = "job.json"


def quotas_of(synthesis: Synthesis) -> list[Quota]:
    """Returns how many rows of each kind are to be made."""
    return shares(KINDS, synthesis.rows, synthesis.korean_share)


@dataclass(frozen=True)
class Second:
    """The process beside this one, and the folder that both write the kinds' rows into."""

    process: Popen[str]
    folder: Path


@contextmanager
def second_process(source: Source) -> Iterator[Second | None]:
    """Starts a second process that makes rows until its block ends, whatever happens there.

    There is none if the rows are few, or if this process may use one core only. It is best started
    before this process reads the source: both then read at the same time.
    """
    if source.synthesis.rows < FEWEST_SHARED or cores() < 2:
        yield None
        return
    with scratch_folder() as scratch:
        folder = Path(scratch)
        job = {
            "train": str(source.train),
            "tokenizer_file": str(source.tokenizer_file),
            "synthesis": source.synthesis.model_dump(),
            "invented": [str(part) for part in source.invented],
        }
        write_json(folder / _JOB, job)
        with start_child([sys.executable, "-m", "tasks.core.synthesis.sharing", folder]) as process:
            try:
                yield Second(process, folder)
            finally:
                stop_child(process)


def lines_by_kind(
    quotas: Sequence[Quota], material: Material, second: Second | None
) -> Iterator[tuple[Quota, list[bytes]]]:
    """Yields each kind's rows, as lines of rows.jsonl, when they are made.

    Raises WorkError if a row cannot be proven, or no scene fits the token budget.
    """
    if second is None:
        for quota in quotas:
            yield quota, lines_of(quota, material)
        return
    taken = []  # by the second process
    for quota in _by_size(quotas):
        if second.process.poll():  # it failed, and says why when it is waited for
            break
        if _take(quota, second.folder):
            yield quota, lines_of(quota, material)
        else:
            taken.append(quota)
    finished = [quota for quota in taken if _lines_file(second.folder, quota).exists()]
    for quota in finished:  # while the second process makes its last one
        yield quota, read_encoded(_lines_file(second.folder, quota))
    wait_for_program(second.process)
    for quota in taken:
        if quota not in finished:
            yield quota, read_encoded(_lines_file(second.folder, quota))


def _by_size(quotas: Sequence[Quota]) -> list[Quota]:
    return sorted(quotas, key=lambda quota: -quota.rows)


def _take(quota: Quota, folder: Path) -> bool:
    """Takes a kind for this process. Returns whether it was still left."""
    try:
        (folder / f"{quota.kind.name}.taken").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _lines_file(folder: Path, quota: Quota) -> Path:
    return folder / f"{quota.kind.name}.jsonl"


def main(folder: Path) -> int:
    """Is the second process; returns its exit code."""
    job = read_json(folder / _JOB)
    synthesis = Synthesis(**job["synthesis"])
    invented = tuple(Path(part) for part in job["invented"])
    source = Source(Path(job["train"]), Path(job["tokenizer_file"]), synthesis, invented)
    try:
        material = Material.of(source)
        for quota in _by_size(quotas_of(synthesis)):
            if _take(quota, folder):
                write_encoded(_lines_file(folder, quota), lines_of(quota, material))
    except WorkError as error:
        tell_error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
