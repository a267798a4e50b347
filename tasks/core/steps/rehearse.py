"""rehearse: the whole release, tried on a small random model before the training begins.

What would fail after hours of training fails now: a llama.cpp that is broken or does not know the
architecture, a model server that is down, too old or full, a prompt template that cannot be served.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tasks.core.chain.step import Job, Step, Surroundings
from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_value
from tasks.core.files.json_files import write_json
from tasks.core.records.artifacts import stretch_of
from tasks.core.settings.tree import STAGES
from tasks.core.steps._contents import TOKENIZER
from tasks.core.steps._shipped import prompt_digest, served_system

if TYPE_CHECKING:
    from tasks.core.serving.registration import NewModel
    from tasks.core.serving.servers import Server

log = logging.getLogger(__name__)

_QUESTION = "KOSPI -2.3%, breadth 25%, momentum -6%. Classify regime."
_REPLY_TOKENS = 16  # random weights have nothing to say


def _outside(around: Surroundings) -> dict[str, str]:
    """The tools by version or digest: another one may fail where this one did not."""
    from tasks.core.serving.servers import server_name, server_version

    return {
        "llama.cpp": _llama_cpp(around),
        "server": server_name(around.home),
        "server version": server_version(around.home, around.memory.digest_of),
        "strategy prompt": prompt_digest(),
    }


def _llama_cpp(around: Surroundings) -> str:
    """The version of kospilot's own llama.cpp, built or not yet; the digest of another one."""
    from tasks.core.tools import find_llama_cpp
    from tasks.core.tools.llama_cpp_source import VERSION

    llama = find_llama_cpp(around.home)
    if llama is None:
        return VERSION
    if llama.version == VERSION:
        return VERSION
    programs = [llama.quantize, llama.converter]
    return digest_value([around.memory.digest_of(program) for program in programs])


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.release.rehearsal import merge_stand_in
    from tasks.core.serving.servers import open_server, required_server

    base = job.folder("download") / "base"
    metrics: dict[str, Any] = {"rehearsed": False}
    log.info("the release is tried out on a small random model of the same architecture")
    # A server that is down is known at once.
    opened = open_server(job.home, required_server(base))
    with _scratch(job.out) as scratch, opened as server:
        job.progress(0.0, "making a small model of the same architecture")
        merged = merge_stand_in(base, job.settings.training, scratch)
        if merged:
            new = _make(job, merged, scratch)
            metrics = {"rehearsed": True, **_serve(job, server, new)}
    write_json(job.out / "rehearsal.json", metrics)
    return metrics


def _make(job: Job, merged: Path, scratch: Path) -> "NewModel":
    """Converts and quantizes the stand-in, and returns it as what is to be served."""
    from tasks.core.release.model import Model, build_gguf
    from tasks.core.serving.modelfile import build_modelfile
    from tasks.core.serving.registration import NewModel
    from tasks.core.serving.tags import temporary_tag
    from tasks.core.tools import ensure_llama_cpp

    release = job.settings.release
    base = job.folder("download") / "base"
    modelfile = build_modelfile(base, release, served_system(release.system_language))
    llama = ensure_llama_cpp(job.home, job.progress)
    making = stretch_of(job.progress, 0.3, 0.4)
    build_gguf(Model(merged), release.quantization, llama, scratch, making)
    tag = temporary_tag(release.name, "rehearsal", job.key)
    return NewModel(tag, scratch / "model.gguf", modelfile, base)


def _serve(job: Job, server: "Server", new: "NewModel") -> dict[str, Any]:
    """Registers the stand-in, proves its prompts, asks it one question and removes it."""
    from tasks.core.serving.registration import register
    from tasks.core.serving.temporary import lent

    with lent(server, new.tag, job.home):
        proof = register(server, new, stretch_of(job.progress, 0.7, 0.2))
        _ask(server, new.tag)
    job.progress(1.0, "the release can be made and served")
    return proof


def _ask(server: "Server", tag: str) -> None:
    """Asks for the beginning of a schema-bound answer. Raises WorkError if it is not one."""
    from tasks.core.evaluation.answer import Endpoint, Options, ask
    from tasks.core.kinds import kind_named

    messages = [{"role": "user", "content": _QUESTION}]
    schema = kind_named("regime_classification").schema
    reply = ask(Endpoint.of(server, tag), messages, schema, Options(max_tokens=_REPLY_TOKENS))
    if not reply.text.lstrip().startswith("{"):
        raise WorkError(
            f"{server.name} was asked for JSON of a schema and answered {reply.text!r}: it does not"
            " bind answers to schemas. Update it."
        )


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A folder for the small model. Errors say what they mean for the run that they stop."""
    with TemporaryDirectory(dir=out, prefix=".rehearsing-") as folder:
        try:
            yield Path(folder)
        except WorkError as error:
            reason = str(error).replace(f"{folder}/merged", "a small model like the base")
            raise WorkError(
                f"The release would fail, so nothing is trained yet: {reason}"
            ) from None


STEP = Step(
    name="rehearse",
    build=_build,
    content=("rehearsal.json",),
    reads={"download": ("base/config.json", "base/generation_config.json", *TOKENIZER)},
    settings=(
        "release.name",
        "release.quantization",
        "release.system_language",
        "release.num_ctx",
        "release.num_predict",
        "training.target_modules",
        "training.quantize_base",
    ),
    outside=_outside,
    asks_server=True,
    rehearses="register",
    protects=STAGES,
    disk_gib=0.5,  # 152,000 tokens by 256 in 16 bit, merged, as F16 and quantized
)
