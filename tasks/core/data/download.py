"""The first step: the base model and the sources of Stage 1, each pinned, fetched once, checked and
recorded.

Reads the package's demo rows, local files, or the hub; writes base/…, sources/NAME.EXT
(NAME.00000.EXT and on where a source has several files) and download.json, which says where each
came from, at which revision, its bytes and sha256.
"""

import logging
import re
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from tasks.core.data.base_folder import fetch_base, fingerprint_base, repo_of
from tasks.core.data.chat import Source
from tasks.core.data.files import bring
from tasks.core.data.hub import Repo, fetch_files, list_files, parse_repo, pin_commit, pinned_commit
from tasks.core.data.reasoning_logs import LOGS, find_logs, gather_logs
from tasks.core.data.sources import SOURCES, location_of, require_columns, shares_of
from tasks.core.data.tables import FORMATS
from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file, digest_value
from tasks.core.files.json_files import write_json
from tasks.core.records.artifacts import Progress
from tasks.core.settings.tree import Data, Model

log = logging.getLogger(__name__)

_BASE_SHARE = 0.6  # of the progress bar
_OTHER_SPLITS = {"test", "valid", "validation", "dev", "eval", "evaluation"}


def fingerprints(
    model: Model, data: Data, cache: Path, digest_of: Callable[[Path], str]
) -> dict[str, str]:
    """What identifies each outside input, without fetching any: what the artifact's key holds.

    A hub id is its commit; one that is not pinned yet is asked for, and if the hub does not answer
    it reads `OWNER/NAME@REVISION (not pinned yet)`. Raises RequestError for what cannot be used:
    paths, columns, shares, ids.
    """
    sources = list(shares_of(data))
    _pin([repo_of(model.base), *(_repo_of(source, data) for source in sources)], cache)
    found = {"base": fingerprint_base(model.base, cache, digest_of)}
    for source in sources:
        if repo := _repo_of(source, data):
            found[source.name] = (
                f"{repo.id}@{pinned_commit(repo, cache) or f'{repo.revision} (not pinned yet)'}"
            )
        else:
            local = _local_files(source, location_of(source, data))
            if source.name != LOGS:
                require_columns(source, local)
            found[source.name] = digest_value([[file.suffix, digest_of(file)] for file in local])
    return found


def download(
    model: Model, data: Data, cache: Path, out: Path, progress: Progress
) -> dict[str, Any]:
    """Fetches everything into out and returns where each part came from and its size in bytes."""
    sources = list(shares_of(data))
    origins = {
        "base": fetch_base(
            model.base, out / "base", lambda s, text: progress(_BASE_SHARE * s, text), cache
        )
    }
    for number, source in enumerate(sources):
        start, width = (
            _BASE_SHARE + (1 - _BASE_SHARE) * number / len(sources),
            (1 - _BASE_SHARE) / len(sources),
        )
        origins[source.name] = fetch_source(
            source, data, out, cache, lambda s, text, a=start, w=width: progress(a + w * s, text)
        )
    record = {name: {**origin, "files": _described(out, name)} for name, origin in origins.items()}
    write_json(out / "download.json", record)
    progress(1.0, "all fetched")
    sizes = {
        name: sum(file["bytes"] for file in entry["files"].values())
        for name, entry in record.items()
    }
    return {name: {**origin, "bytes": sizes[name]} for name, origin in origins.items()}


def choose_data_files(paths: Iterable[str]) -> list[str]:
    """Of a data set's paths, its training files: one format, no other split, sorted; empty if it
    has none.
    """
    parts = [path for path in paths if Path(path).suffix.lower() in FORMATS]
    words = {path: set(re.split(r"[^a-z]+", path.lower())) for path in parts}
    train = [path for path in parts if "train" in words[path]]
    rest = [path for path in parts if not words[path] & _OTHER_SPLITS]
    for ending in FORMATS:
        for chosen in (train, rest):
            if found := sorted(path for path in chosen if path.lower().endswith(ending)):
                return found
    return []


def fetch_source(
    source: Source, data: Data, out: Path, cache: Path, progress: Progress
) -> dict[str, str]:
    """Writes a source's files into out/sources, checks their columns, and returns where they came
    from.
    """
    repo, location = _repo_of(source, data), location_of(source, data)
    if repo:
        commit = pin_commit(repo, cache)
        sizes = list_files(repo, commit)
        chosen = choose_data_files(sizes)
        if not chosen:
            raise _no_data(f"The hub's {repo.id} at {commit}", source, sizes)
        files_there = list(
            fetch_files(repo, commit, {name: sizes[name] for name in chosen}, progress).values()
        )
        origin = {"from": f"hub dataset {repo.id}", "revision": commit}
    else:
        files_there = _local_files(source, location)
        where = (
            "packaged demo rows"
            if location == "demo"
            else str(Path(location).expanduser().resolve())
        )
        origin = {"from": where, "revision": "local"}
    if source.name == LOGS:
        gather_logs(files_there, out / "sources" / f"{LOGS}.jsonl")
        return origin
    for number, file in enumerate(files_there):
        part = f".{number:05}" if len(files_there) > 1 else ""
        target = out / "sources" / f"{source.name}{part}{file.suffix.lower()}"
        progress(number / len(files_there), f"{source.name}: {file.stat().st_size / 1e6:,.1f} MB")
        bring(file, target, immutable=repo is not None)
        require_columns(source, [target])
    return origin


def _repo_of(source: Source, data: Data) -> Repo | None:
    """The hub data set of a source; None for `demo`, logs and a path, which a data file's ending
    gives away.
    """
    location = location_of(source, data)
    path = Path(location).expanduser()
    if location == "demo" or source.name == LOGS or path.exists() or path.suffix.lower() in FORMATS:
        return None
    return parse_repo(location, "dataset", f"data.{source.name}")


def _local_files(source: Source, location: str) -> list[Path]:
    if source.name == LOGS:
        return find_logs(Path(location).expanduser())
    if location == "demo" and source in SOURCES:
        folder = Path(str(files("tasks.core.data"))) / "demo"
        return [next(file for file in folder.iterdir() if file.stem == source.name)]
    path = Path(location).expanduser()
    if path.is_file() and path.suffix.lower() in FORMATS:
        return [path]
    if path.is_dir():
        there = [str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()]
        if chosen := choose_data_files(there):
            return [path / name for name in chosen]
        raise _no_data(f"The folder {path}", source, there)
    what = f"is none of {', '.join(FORMATS)}" if path.exists() else "is not there"
    raise RequestError(
        f"data.{source.name}={location} {what}. Name a parquet, JSONL or CSV file, a hub id (OWNER/NAME or"
        " OWNER/NAME@REVISION), or `demo`."
    )


def _no_data(what: str, source: Source, there: Iterable[str]) -> RequestError:
    listed = ", ".join(sorted(there)[:12]) or "no file"
    return RequestError(
        f"{what} has no {', '.join(FORMATS)}; it holds {listed}. Name a file: data.{source.name}=FILE."
    )


def _pin(repos: Iterable[Repo | None], cache: Path) -> None:
    """Pins what is not pinned yet. An unreachable hub is asked once and leaves the others as they
    are.
    """
    try:
        for repo in filter(None, repos):
            pin_commit(repo, cache)
    except WorkError as error:
        log.info("%s", error)


def _described(out: Path, name: str) -> dict[str, dict[str, Any]]:
    """Bytes and sha256 of a part's files."""
    parts = (out / "base").iterdir() if name == "base" else (out / "sources").glob(f"{name}.*")
    return {
        str(file.relative_to(out)): {"bytes": file.stat().st_size, "sha256": digest_file(file)}
        for file in sorted(parts)
    }
