"""The Hugging Face hub: ids pinned to a commit at first use, files fetched at that commit.

Reads and writes CACHE/pins.json, which holds {"model/OWNER/NAME@REVISION": commit}: a run of next
month trains on the same files. To move on, name a revision in the setting or delete the line. Files
lie in huggingface_hub's own cache.
"""

import contextlib
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from filelock import FileLock
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.json_files import write_json
from tasks.core.records.artifacts import Progress

log = logging.getLogger(__name__)

RepoType = Literal["model", "dataset"]

_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?$", re.ASCII)
_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_PATIENCE_S = 10


@dataclass(frozen=True)
class Repo:
    """A hub repository as a setting names it: OWNER/NAME or OWNER/NAME@REVISION."""

    id: str
    revision: str
    type: RepoType
    setting: str  # that names it, e.g. data.krx_won

    @property
    def name(self) -> str:
        return f"{self.id}@{self.revision}"


def parse_repo(location: str, kind: RepoType, setting: str) -> Repo | None:
    """The repository that the setting's location names, or None if it cannot be a hub id."""
    if not _ID.match(location):
        return None
    name, _, revision = location.partition("@")
    return Repo(name, revision or "main", kind, setting)


def pinned_commit(repo: Repo, cache: Path) -> str | None:
    """The commit that the repository is pinned to; asks nobody."""
    if _COMMIT.match(repo.revision):
        return repo.revision
    return _pins(cache).get(f"{repo.type}/{repo.name}")


def pin_commit(repo: Repo, cache: Path) -> str:
    """The commit that the repository is pinned to; the first use asks the hub and records its
    answer.

    Raises RequestError for a repository or revision that is not there or not open to this user,
    WorkError when the hub cannot be reached.
    """
    known = pinned_commit(repo, cache)
    if known:
        return known
    with explained(repo):
        info = HfApi().repo_info(
            repo.id, revision=repo.revision, repo_type=repo.type, timeout=_PATIENCE_S
        )
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / ".pins.lock"):
        write_json(cache / "pins.json", {**_pins(cache), f"{repo.type}/{repo.name}": info.sha})
    log.info("%s is pinned to %s", repo.name, info.sha)
    return info.sha


def list_files(repo: Repo, commit: str) -> dict[str, int]:
    """Paths in the repository at the commit, with their bytes."""
    with explained(repo):
        info = HfApi().repo_info(repo.id, revision=commit, repo_type=repo.type, files_metadata=True)
    return {file.rfilename: file.size or 0 for file in info.siblings}


def fetch_files(
    repo: Repo, commit: str, files: dict[str, int], progress: Progress
) -> dict[str, Path]:
    """Where each file lies in huggingface_hub's cache; those not there yet are fetched, cut ones
    continued.
    """
    total, done, found = sum(files.values()) or 1, 0, {}
    for name, size in files.items():
        progress(done / total, f"{repo.id}: {done / 1e6:,.0f} / {total / 1e6:,.0f} MB, now {name}")
        with explained(repo):
            path = hf_hub_download(repo.id, name, revision=commit, repo_type=repo.type)
        found[name] = Path(path)
        done += size
    return found


@contextlib.contextmanager
def explained(repo: Repo) -> Iterator[None]:
    """Says what a failure of the hub means for the user, and the way without the hub."""
    local = f"{repo.setting}={'FOLDER' if repo.type == 'model' else 'FILE'}"
    try:
        yield
    except GatedRepoError as error:
        raise RequestError(
            f"The {repo.type} {repo.id} is gated: accept its terms on the hub and set HF_TOKEN, or use a local copy:"
            f" {local}."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise RequestError(
            f"The hub has no {repo.type} {repo.id} that you may read. Check the spelling, set HF_TOKEN if it is"
            f" private, or use a local copy: {local}."
        ) from error
    except RevisionNotFoundError as error:
        raise RequestError(
            f"The {repo.type} {repo.id} has no revision {repo.revision!r}."
        ) from error
    except (
        httpx.TransportError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    ) as error:
        raise WorkError(
            f"The Hugging Face hub could not be reached for the {repo.type} {repo.id}"
            f" ({error or type(error).__name__}). Try again later, or fetch it elsewhere and name the copy:"
            f" {local}."
        ) from error


def _pins(cache: Path) -> dict[str, str]:
    try:
        return json.loads((cache / "pins.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
