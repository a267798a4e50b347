"""The Hugging Face hub: ids pinned to a commit at first use, files fetched at that commit.

Reads and writes CACHE/pins.json, which holds {"model/OWNER/NAME@REVISION": commit}: a run of next
month trains on the same files. To move on, name a revision in the setting or delete the line. The
files lie in huggingface_hub's own cache.
"""

import contextlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from filelock import FileLock
from huggingface_hub import DatasetInfo, HfApi, ModelInfo, hf_hub_download
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
from tasks.core.files.json_files import read_json, write_json
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
        """OWNER/NAME@REVISION."""
        return f"{self.id}@{self.revision}"


def parse_repo(location: str, kind: RepoType, setting: str) -> Repo | None:
    """The repository that the setting's location names, or None if it cannot be a hub id."""
    if not _ID.match(location):
        return None
    name, _, revision = location.partition("@")
    return Repo(name, revision or "main", kind, setting)


def pinned_commit(repo: Repo, cache: Path) -> str | None:
    """The commit that the repository is pinned to, or None; the hub is not asked."""
    if _COMMIT.match(repo.revision):
        return repo.revision
    return _read_pins(cache).get(_pin_key(repo))


def name_pin(repo: Repo, cache: Path) -> str:
    """OWNER/NAME@COMMIT, or OWNER/NAME@REVISION (not pinned yet); the hub is not asked."""
    commit = pinned_commit(repo, cache)
    if commit is None:
        return f"{repo.name} (not pinned yet)"
    return f"{repo.id}@{commit}"


def pin_commit(repo: Repo, cache: Path) -> str:
    """The commit that the repository is pinned to; the first use asks the hub and records it.

    Raises RequestError for a repository or revision that is not there or not open to this user, and
    WorkError if the hub cannot be reached.
    """
    known = pinned_commit(repo, cache)
    if known:
        return known
    commit = _describe_repo(repo, repo.revision, timeout=_PATIENCE_S).sha
    assert commit, "the hub names the commit of every revision"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / ".pins.lock"):
        write_json(cache / "pins.json", {**_read_pins(cache), _pin_key(repo): commit})
    log.info("%s is pinned to %s", repo.name, commit)
    return commit


def list_files(repo: Repo, commit: str) -> dict[str, int]:
    """Every path in the repository at the commit, with its size in bytes."""
    siblings = _describe_repo(repo, commit, files_metadata=True).siblings or []
    return {file.rfilename: file.size or 0 for file in siblings}


def fetch_files(
    repo: Repo, commit: str, files: dict[str, int], progress: Progress
) -> dict[str, Path]:
    """Where each file, given with its bytes, lies in huggingface_hub's cache.

    Those that are not there yet are fetched, and those cut off are continued.
    """
    total = sum(files.values()) or 1
    done = 0
    fetched = {}
    for name, size in files.items():
        progress(done / total, f"{repo.id}: {done / 1e6:,.0f} / {total / 1e6:,.0f} MB, now {name}")
        with explained(repo):
            path = hf_hub_download(repo.id, name, revision=commit, repo_type=repo.type)
        fetched[name] = Path(path)
        done += size
    return fetched


@contextlib.contextmanager
def explained(repo: Repo) -> Iterator[None]:
    """Says what a failure of the hub means for the user, and the way without the hub."""
    copy = "FOLDER" if repo.type == "model" else "FILE"
    local = f"{repo.setting}={copy}"
    try:
        yield
    except GatedRepoError as error:
        raise RequestError(
            f"The {repo.type} {repo.id} is gated: accept its terms on the hub and set HF_TOKEN, or"
            f" use a local copy: {local}."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise RequestError(
            f"The hub has no {repo.type} {repo.id} that you may read. Check the spelling, set"
            f" HF_TOKEN if it is private, or use a local copy: {local}."
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
            f" ({error or type(error).__name__}). Try again later, or fetch it elsewhere and name"
            f" the copy: {local}."
        ) from error


def _describe_repo(
    repo: Repo, revision: str, timeout: float | None = None, files_metadata: bool = False
) -> ModelInfo | DatasetInfo:
    with explained(repo):
        info = HfApi().repo_info(
            repo.id,
            revision=revision,
            repo_type=repo.type,
            timeout=timeout,
            files_metadata=files_metadata,
        )
    assert isinstance(info, ModelInfo | DatasetInfo), "a Repo is a model or a data set"
    return info


def _pin_key(repo: Repo) -> str:
    return f"{repo.type}/{repo.name}"


def _read_pins(cache: Path) -> dict[str, str]:
    try:
        return read_json(cache / "pins.json")
    except (OSError, ValueError):
        return {}
