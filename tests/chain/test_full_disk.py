"""A full disk, whatever the library or program says of it, is told with its place and a remedy."""

import contextlib
import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import safetensors.numpy

from tasks.core.chain.full_disk import explain_full_disk
from tasks.core.chain.produce import produce
from tasks.core.chain.run import Run
from tasks.core.chain.step import Step
from tasks.core.errors import WorkError
from tasks.core.files.json_files import write_lines
from tasks.core.processes.child import run_child
from tasks.core.settings.profiles import load

DEMO = load("demo")
MORE = 8 << 20  # bytes, of a disk with four mebibytes


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    place = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "kospilot-test", place], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk takes root's rights")
    yield place
    subprocess.run(["umount", place], check=True)


def rows(out):
    write_lines(out / "rows.jsonl", ("x" * 1000 for _ in range(MORE // 1000)))


def table(out):
    random = np.random.default_rng(0).bytes(MORE)
    pa.parquet.write_table(pa.table({"a": [random]}), out / "rows.parquet")


def adapter(out):
    weights = {"lora": np.zeros(MORE, dtype=np.uint8)}
    safetensors.numpy.save_file(weights, out / "adapter_model.safetensors")


def child(out):
    code = f"open({str(out / 'model.gguf')!r}, 'wb', 0).write(bytes({MORE})); raise SystemExit(-6)"
    run_child([sys.executable, "-c", code])


def copied(out):
    with open("/dev/zero", "rb") as zero, (out / "model.gguf").open("wb") as file:
        for _ in range(MORE >> 16):
            file.write(zero.read(1 << 16))


@pytest.mark.parametrize("write", [rows, table, adapter, child, copied])
def test_each_way_of_writing_names_the_full_disk(small_disk, write):
    def build(job):
        write(job.out)
        return {}

    step = Step(f"step-{write.__name__}", build, ("*",))
    run = Run(DEMO, small_disk, {step.name: step}, {}, (), lambda: lambda tag, digest: None)
    with pytest.raises(WorkError) as told:
        produce(run, step.name, {}, lambda share, text: None)
    text = str(told.value)
    assert f"{step.name} stopped because the disk of {small_disk}" in text
    assert "MB of 4.2 MB are free" in text
    assert "had written" in text
    assert "`kospilot artifacts gc`" in text
    assert "set KOSPILOT_HOME to a folder on a larger disk" in text


@contextlib.contextmanager
def largest_file(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_limit_of_the_size_of_files_is_named(tmp_path):
    with largest_file(1 << 16), pytest.raises(OSError, match="too large") as raised:
        (tmp_path / "model.gguf").write_bytes(bytes(1 << 17))
    told = str(explain_full_disk(raised.value, "quantize", tmp_path))
    assert told.startswith("quantize stopped because a file became larger than the system allows")
    assert "ulimit -f unlimited" in told


@pytest.mark.parametrize(
    "said",
    [
        "llama-quantize exited with 1:\nbasic_ios::clear: iostream error",
        "error: I/O error: No space left on device (os error 28)",
        "OSError: [Errno 122] Disk quota exceeded",
    ],
)
def test_the_words_of_programs_are_known(tmp_path, said):
    if shutil.disk_usage(tmp_path).free < 2 << 30:
        pytest.skip("the disk of temporary files is nearly full")
    told = str(explain_full_disk(WorkError(said), "quantize", tmp_path))
    assert told.startswith(f"quantize stopped because writing failed ({said.splitlines()[-1]})")
    assert "though on the disk of " in told
    assert "a quota or the number of files" in told


def test_the_disk_is_the_one_that_the_error_names(small_disk, tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(small_disk / "model.gguf"))
    with (small_disk / "filler").open("wb", 0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(1 << 16))
    try:
        told = str(explain_full_disk(full, "quantize", tmp_path))
        assert f"the disk of {small_disk} is full: 0.0 MB of 4.2 MB are free" in told
        full.filename = str(tmp_path / "model.gguf")
        told = str(explain_full_disk(full, "quantize", small_disk))
        assert "writing failed" in told
        assert f"on the disk of {tmp_path} " in told
    finally:
        (small_disk / "filler").unlink()


def test_other_failures_stay_what_they_are(tmp_path):
    assert explain_full_disk(WorkError("python exited with -6"), "gguf", tmp_path) is None
    missing = OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(tmp_path / "gone" / "file"))
    assert explain_full_disk(missing, "gguf", tmp_path) is None


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a disk without space is Linux's /proc")
@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOENT])
def test_a_disk_that_nobody_writes_to_is_not_full(tmp_path, number):
    error = OSError(number, os.strerror(number), "/proc/self/model.gguf")
    assert explain_full_disk(error, "gguf", tmp_path) is None
    assert explain_full_disk(error, "gguf", Path("/proc/self")) is None
