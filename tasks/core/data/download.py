"""The first step: the base model and the sources of Stage 1, each pinned, fetched once, checked and
recorded.

Reads the package's demo rows, local files, or the hub; writes base/…, sources/NAME.EXT
(NAME.00000.EXT and on if a source has several files) and download.json, which says where each came
from, at which revision, its bytes and sha256.
"""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from tasks.core.data.base_model.folder import fetch_base, fingerprint_base, repo_of
from tasks.core.data.chat import Source
from tasks.core.data.copies import copy_file
from tasks.core.data.first_rows import warn_of_drops
from tasks.core.data.hub import Repo, fetch_files, list_files, name_pin, parse_repo, pin_commit
from tasks.core.data.sources import SOURCES
from tasks.core.data.sources.columns import require_columns
from tasks.core.data.sources.reasoning_logs import LOGS, gather_logs
from tasks.core.data.sources.shares import location_of, shares_of
from tasks.core.data.tables import FORMATS, table_files
from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file, digest_value
from tasks.core.files.json_files import write_json
from tasks.core.files.log_folder import find_logs
from tasks.core.records.artifacts import Progress, stretch_of
from tasks.core.settings.data import Data
from tasks.core.settings.tree import Model

log = logging.getLogger(__name__)

_BASE_SHARE = 0.6  # of the progress bar
_OTHER_SPLITS = {"test", "valid", "validation", "dev", "eval", "evaluation"}
_SAVED = {"dataset_dict.json", "dataset_info.json", "state.json"}  # beside save_to_disk's .arrow
_LISTED = 12  # file names in an error


@dataclass(frozen=True)
class _Found:
    """The files of a source, before they are copied, and where they came from."""

    files: list[Path]
    origin: dict[str, str]
    immutable: bool  # the files are of a cache that nobody rewrites


def fingerprints(
    model: Model, data: Data, cache: Path, digest_of: Callable[[Path], str]
) -> dict[str, str]:
    """What identifies each outside input, without fetching any: what the artifact's key holds.

    A hub id is its commit; one that is not pinned yet is asked for, and if the hub does not answer
    it reads `OWNER/NAME@REVISION (not pinned yet)`. Raises RequestError for what cannot be used:
    paths, columns, shares, ids.
    """
    sources = list(shares_of(data))
    repos = [repo_of(model.base)]
    for source in sources:
        repos.append(_repo_of(source, data))
    _pin(repos, cache)
    prints = {"base": fingerprint_base(model.base, cache, digest_of)}
    for source in sources:
        prints[source.name] = _fingerprint_source(source, data, cache, digest_of)
        if source.name == "own" and _repo_of(source, data) is None:
            [first, *_] = _local_files(source, data.own)
            warn_of_drops(source, first, _local_base(model))
    return prints


def download(
    model: Model, data: Data, cache: Path, out: Path, progress: Progress
) -> dict[str, Any]:
    """Fetches everything into out and returns where each part came from and its size in bytes."""
    sources = list(shares_of(data))
    base_progress = stretch_of(progress, 0.0, _BASE_SHARE)
    origins = {"base": fetch_base(model.base, out / "base", base_progress, cache)}
    width = (1 - _BASE_SHARE) / len(sources)
    for number, source in enumerate(sources):
        start = _BASE_SHARE + (1 - _BASE_SHARE) * number / len(sources)
        source_progress = stretch_of(progress, start, width)
        origins[source.name] = fetch_source(source, data, out, cache, source_progress)
        if source.name == "own" and _local_base(model) is None:  # whose template plan did not have
            warn_of_drops(source, table_files(out / "sources", "own")[0], out / "base")
    record = {}
    metrics = {}
    for name, origin in origins.items():
        files = _describe_files(out, name)
        record[name] = {**origin, "files": files}
        metrics[name] = {**origin, "bytes": sum(file["bytes"] for file in files.values())}
    write_json(out / "download.json", record)
    progress(1.0, "all fetched")
    return metrics


def choose_data_files(paths: Iterable[str]) -> list[str]:
    """Of a data set's paths, its training files, sorted: one format, no other split, and nothing
    hidden, as editors and macOS leave it.

    The list is empty if the data set has none.
    """
    data_files = []
    for path in paths:
        if Path(path).suffix.lower() in FORMATS and not _is_hidden(path):
            data_files.append(path)
    training = [path for path in data_files if "train" in _words_of(path)]
    no_other_split = [path for path in data_files if _OTHER_SPLITS.isdisjoint(_words_of(path))]
    for ending in FORMATS:
        for candidates in (training, no_other_split):
            chosen = [path for path in candidates if path.lower().endswith(ending)]
            if chosen:
                return sorted(chosen)
    return []


def _is_hidden(path: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in Path(path).parts)


def fetch_source(
    source: Source, data: Data, out: Path, cache: Path, progress: Progress
) -> dict[str, str]:
    """Writes a source's files into out/sources, checks their columns, and returns where they came
    from.
    """
    repo = _repo_of(source, data)
    if repo:
        found = _fetch_from_hub(source, repo, cache, progress)
    else:
        found = _find_locally(source, location_of(source, data))
    if source.name == LOGS:
        gather_logs(found.files, out / "sources" / f"{LOGS}.jsonl")
    else:
        _copy_files(source, found, out / "sources", progress)
    return found.origin


def _fetch_from_hub(source: Source, repo: Repo, cache: Path, progress: Progress) -> _Found:
    commit = pin_commit(repo, cache)
    sizes = list_files(repo, commit)
    chosen = choose_data_files(sizes)
    if not chosen:
        raise _no_data(f"The hub's {repo.id} at {commit}", source, sizes)
    fetched = fetch_files(repo, commit, {name: sizes[name] for name in chosen}, progress)
    origin = {"from": f"hub dataset {repo.id}", "revision": commit}
    return _Found(list(fetched.values()), origin, immutable=True)


def _find_locally(source: Source, location: str) -> _Found:
    origin = "packaged demo rows"
    if location != "demo":
        origin = str(Path(location).expanduser().resolve())
    files = _local_files(source, location)
    return _Found(files, {"from": origin, "revision": "local"}, immutable=False)


def _copy_files(source: Source, found: _Found, folder: Path, progress: Progress) -> None:
    count = len(found.files)
    for number, file in enumerate(found.files):
        part = f".{number:05}" if count > 1 else ""
        target = folder / f"{source.name}{part}{file.suffix.lower()}"
        progress(number / count, f"{source.name}: {file.stat().st_size / 1e6:,.1f} MB")
        copy_file(file, target, immutable=found.immutable)
        require_columns(source, [target])


def _fingerprint_source(
    source: Source, data: Data, cache: Path, digest_of: Callable[[Path], str]
) -> str:
    repo = _repo_of(source, data)
    if repo:
        return name_pin(repo, cache)
    files = _local_files(source, location_of(source, data))
    if source.name != LOGS:
        require_columns(source, files)
    return digest_value([[file.suffix, digest_of(file)] for file in files])


def _local_base(model: Model) -> Path | None:
    """The base model's folder, if the settings name one of this machine."""
    folder = Path(model.base).expanduser()
    return folder if folder.is_dir() else None


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
    """The files of a source that is not on the hub. Raises RequestError if there are none."""
    path = Path(location).expanduser()
    if source.name == LOGS:
        return find_logs(path, f"data.{LOGS}")
    if location == "demo" and source in SOURCES:
        return [_demo_file(source)]
    if path.is_file() and path.suffix.lower() in FORMATS:
        return [path]
    if path.is_dir():
        return _folder_files(source, path)
    fault = "is not there"
    if path.exists():
        fault = f"is none of {', '.join(FORMATS)}"
    raise RequestError(
        f"data.{source.name}={location} {fault}. Name a parquet, JSONL or CSV file, a hub id"
        " (OWNER/NAME or OWNER/NAME@REVISION), or `demo`."
    )


def packaged_rows() -> Path:
    """Returns the folder with a small file of each published source, as `demo` means it."""
    return Path(str(package_files("tasks.core.data"))) / "demo"


def _demo_file(source: Source) -> Path:
    return next(packaged_rows().glob(f"{source.name}.*"))


def _has_arrow(names: Iterable[str]) -> bool:
    return any(name.endswith(".arrow") and not _is_hidden(name) for name in names)


def _folder_files(source: Source, folder: Path) -> list[Path]:
    names = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    chosen = choose_data_files(names)
    if _SAVED.issuperset(Path(name).name for name in chosen) and _has_arrow(names):
        raise RequestError(
            f"data.{source.name}={folder} was written by datasets' save_to_disk, which is for"
            " datasets alone. Write a file of it:"
            f' datasets.load_from_disk("{folder}").to_parquet("rows.parquet"), of a split if it'
            ' has several (["train"]), and name that.'
        )
    if not chosen:
        raise _no_data(f"The folder {folder}", source, names)
    return [folder / name for name in chosen]


def _no_data(place: str, source: Source, names: Iterable[str]) -> RequestError:
    listed = ", ".join(sorted(names)[:_LISTED]) or "no file"
    return RequestError(
        f"{place} has no {', '.join(FORMATS)}; it holds {listed}. Name a file:"
        f" data.{source.name}=FILE."
    )


def _words_of(path: str) -> set[str]:
    return set(re.split(r"[^a-z]+", path.lower()))


def _pin(repos: Iterable[Repo | None], cache: Path) -> None:
    """Pins what is not pinned yet. An unreachable hub is asked once and leaves the others as they
    are.
    """
    try:
        for repo in repos:
            if repo:
                pin_commit(repo, cache)
    except WorkError as error:
        log.info("%s", error)


def _describe_files(out: Path, name: str) -> dict[str, dict[str, Any]]:
    """Bytes and sha256 of a part's files, by their paths in the artifact."""
    if name == "base":
        files = sorted((out / "base").iterdir())
    else:
        files = sorted((out / "sources").glob(f"{name}.*"))
    described = {}
    for file in files:
        size = file.stat().st_size
        described[str(file.relative_to(out))] = {"bytes": size, "sha256": digest_file(file)}
    return described
