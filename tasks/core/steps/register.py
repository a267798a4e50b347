"""register: the model on the server under a tag of its own, read back, its prompt proven."""

import os
from typing import Any

from tasks.core.chain.manifest import Manifest
from tasks.core.chain.step import Job, ServedModel, Step, Surroundings
from tasks.core.chain.store import Store
from tasks.core.files.json_files import write_json
from tasks.core.records.quantizations import share_of_base
from tasks.core.steps._contents import TOKENIZER
from tasks.core.steps._shipped import prompt_digest, served_system


def _outside(around: Surroundings) -> dict[str, str]:
    from tasks.core.serving.servers import server_name

    return {"server": server_name(around.home), "strategy prompt": prompt_digest()}


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.serving.modelfile import build_modelfile
    from tasks.core.serving.registration import NewModel, register
    from tasks.core.serving.servers import open_server, required_server
    from tasks.core.serving.temporary import note_down

    release = job.settings.release
    base = job.folder("download") / "base"
    modelfile = build_modelfile(base, release, served_system(release.system_language))
    tag = f"{job.settings.release_tag}:{job.key[:8]}"
    gguf = job.folder("quantize") / "model.gguf"
    with open_server(job.home, required_server(base)) as server:
        note_down(server, tag, job.home)  # gc finds the model even if this artifact is lost
        metrics = register(server, NewModel(tag, gguf, modelfile, base), job.progress)
    # Artifacts lie as deep as their staging folders, so the path holds for `ollama create -f`.
    beside = os.path.relpath(gguf, job.out)
    (job.out / "Modelfile").write_text(modelfile.text(beside), encoding="utf-8")
    registration = {"tag": tag, "digest": metrics["digest"], "server": metrics["server"]}
    write_json(job.out / "registration.json", registration)
    return metrics


def _served(store: Store, manifest: Manifest) -> ServedModel:
    return ServedModel(manifest.metrics["tag"], manifest.metrics["digest"])


STEP = Step(
    name="register",
    build=_build,
    content=("registration.json",),
    reads={
        "parity": ("verdict.json",),  # nothing is registered unless it passed
        "quantize": ("model.gguf",),
        "download": TOKENIZER,
    },
    settings=(
        "release.name",
        "release.quantization",
        "release.system_language",
        "release.num_ctx",
        "release.num_predict",
    ),
    consults=("stages.skip",),  # the tag's suffix; the key has the model itself
    outside=_outside,
    asks_server=True,
    served=_served,
    retries_after_s=(5,),
    # The server keeps a copy of its own.
    disk_also=lambda settings: share_of_base(settings.release.quantization),
)
