"""The models that evaluate asks beside the release, each on the server for that time only.

Each is a GGUF of its own. A stage's is its adapter folded into the base as it was trained, and
quantized as the release is: llama.cpp's LoRA on a quantized base would be a model that nobody
trained.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.chain.step import Job, Reads
from tasks.core.records.artifacts import stretch_of
from tasks.core.records.quantizations import share_of_base
from tasks.core.settings.evaluation import ComparedName
from tasks.core.settings.tree import STAGES, Settings
from tasks.core.steps._contents import ADAPTER
from tasks.core.steps._shipped import served_system

if TYPE_CHECKING:
    from tasks.core.serving.servers import Server

MAKING = 0.2
"""Share of a compared model's progress until it is on the server; the rest is asking it."""


OF_BASE = ("base", "briefed")
"""Compared models that are the base itself, asked one way or another."""


def compared_reads(settings: Settings) -> Reads:
    """What the compared models are made from."""
    reads: Reads = {}
    for name in settings.compared_models:
        if name in OF_BASE:
            reads["baseline"] = ("model.gguf",)
        elif name == "f16":
            reads["gguf"] = ("model-f16.gguf",)
        else:
            reads |= {name: ADAPTER, "download": ("base/*",)}
    return reads


def compared_disk(settings: Settings) -> float:
    """The disk that stages take until all models were asked, in sizes of the base model."""
    stages = [name for name in settings.compared_models if name in STAGES]
    if not stages:
        return 0.0
    merged_and_f16 = 2.0
    return merged_and_f16 + len(stages) * share_of_base(settings.release.quantization)


@contextmanager
def served(job: Job, server: "Server", name: ComparedName) -> Iterator[str]:
    """Puts a compared model on the server, and gives its tag; afterwards it goes again.

    It gets the release's own prompt and parameters.
    """
    from tasks.core.serving.modelfile import build_modelfile
    from tasks.core.serving.tags import temporary_tag
    from tasks.core.serving.temporary import lent

    release = job.settings.release
    base = job.folder("download") / "base"
    modelfile = build_modelfile(base, release, served_system(release.system_language))
    tag = temporary_tag(release.name, name, job.key)
    making = replace(job, progress=stretch_of(job.progress, 0, MAKING))
    gguf = _gguf_of(making, name)
    with lent(server, tag, job.home):
        server.create(tag, gguf, modelfile, making.progress)
        yield tag


def _gguf_of(job: Job, name: ComparedName) -> Path:
    if name in OF_BASE:
        return job.folder("baseline") / "model.gguf"
    if name == "f16":
        return job.folder("gguf") / "model-f16.gguf"
    return _stage_gguf(job, name)


def _stage_gguf(job: Job, stage: ComparedName) -> Path:
    """A stage's model, which an interrupted evaluation finds again."""
    from tasks.core.release.model import Model, build_gguf
    from tasks.core.tools import ensure_llama_cpp

    made = job.out / stage
    made.mkdir(exist_ok=True)
    model = Model(job.folder("download") / "base", job.folder(stage))
    llama = ensure_llama_cpp(job.home, job.progress)
    build_gguf(model, job.settings.release.quantization, llama, made, job.progress)
    return made / "model.gguf"
