"""llama.cpp's source, which the source package of llama-cpp-python carries whole, vendored headers
included.

Fetches the package with pip, which honours the user's index settings. Writes
KOSPILOT_HOME/downloads/llama_cpp_python-*.tar.gz.
"""

import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_file
from tasks.core.processes.child import run_child
from tasks.core.records.artifacts import Progress

VERSION = "0.3.36"
"""Version of the llama-cpp-python source package."""
_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
_ARCHIVE = f"llama_cpp_python-{VERSION}.tar.gz"
_INSIDE = PurePosixPath(f"llama_cpp_python-{VERSION}", "vendor", "llama.cpp")


def fetch_source(home: Path, progress: Progress) -> Path:
    """Returns the archive, fetched once and checked against its digest. Raises WorkError."""
    archive = home / "downloads" / _ARCHIVE
    if not archive.is_file():
        progress(0.0, "fetching the source of llama.cpp (73 MB)")
        _download(archive)
    digest = digest_file(archive)
    if digest != _SHA256:
        archive.unlink()
        raise WorkError(
            f"{archive} was not what it should be (sha256 {digest[:16]}…, expected"
            f" {_SHA256[:16]}…) and was removed. Run the same command again to fetch it anew."
        )
    return archive


def _download(archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    package = f"llama-cpp-python=={VERSION}"
    pip = [sys.executable, "-m", "pip", "download", "--progress-bar=off"]
    only_this_source = ["--no-deps", "--no-binary=llama-cpp-python"]
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".fetching-") as folder:
        try:
            run_child([*pip, *only_this_source, "--dest", folder, package])
        except WorkError as error:
            raise WorkError(
                f"pip could not fetch {package}: {_last_error(str(error))}\n"
                f"On a machine without a network put {_ARCHIVE} into {archive.parent}, or set"
                " KOSPILOT_LLAMA_CPP to a folder of llama.cpp."
            ) from None
        os.replace(Path(folder) / _ARCHIVE, archive)


def _last_error(text: str) -> str:
    errors = re.findall(r"ERROR: (.+)", text)
    return errors[-1] if errors else text


def unpack_source(archive: Path, out: Path, wanted: Callable[[str], bool]) -> None:
    """Writes the files of llama.cpp's tree whose path in it `wanted` accepts, under `out`.

    Links and devices are not unpacked, and a path that would leave `out` is refused.
    """
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not (member.isfile() and path.is_relative_to(_INSIDE)):
                continue
            inner = path.relative_to(_INSIDE)
            if ".." in inner.parts:
                raise WorkError(f"{archive} holds a path that leaves its folder: {member.name}.")
            if wanted(str(inner)):
                _unpack(tar, member, out / inner)


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    packed = tar.extractfile(member)
    assert packed is not None, "only plain files are unpacked"
    target.parent.mkdir(parents=True, exist_ok=True)
    with packed, target.open("wb") as file:
        shutil.copyfileobj(packed, file)
