"""The proof of a release: each hop is measured, and the first that breaks its limits is refused.

Reads the folders and files of a release. The figures of a refused release are in the error.
"""

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tasks.core.chat.template import ChatTemplate
from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json
from tasks.core.parity.figures import Figures, read_figures
from tasks.core.parity.hop import F16, MERGED, QUANTIZED, REFERENCE, SERVED, FreeReply, read_scores
from tasks.core.parity.jobs import GgufFacts, LlamaJob, TorchFacts, TorchJob
from tasks.core.parity.limits import BY_TYPE, CONVERSION, MERGE, NEARLY, Limits, breaches, refusal
from tasks.core.parity.program import run_job
from tasks.core.parity.prompts import Prompts, write_prompts
from tasks.core.parity.report import table_lines
from tasks.core.records.artifacts import Progress, stretch_of
from tasks.core.records.training_base import TrainingBase

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Release:
    """What was trained, and the files that a release was made of."""

    base: Path
    adapter: Path | None  # None if the base alone is released
    trained: TrainingBase | None  # what the adapter was trained on; None: the base's own values
    merged: Path
    f16: Path
    quantized: Path
    quantization: str


def prove_computed(
    release: Release, prompts: Prompts, folder: Path, progress: Progress
) -> list[Figures]:
    """Returns the figures of all hops that are computed on this machine, the reference first.

    folder: where the hops' files go. Raises WorkError, with the hop's name, if a hop fails or
    breaks its limits.
    """
    write_prompts(prompts, folder / "prompts.json")
    _measure_torch(release, folder, stretch_of(progress, 0.0, 0.4))
    figures = [computed_figures(release, prompts, folder, name) for name in (REFERENCE, MERGED)]
    check(figures, MERGE)
    _measure_gguf(F16, release.f16, folder, stretch_of(progress, 0.4, 0.3))
    figures.append(computed_figures(release, prompts, folder, F16))
    check(figures, CONVERSION)
    _measure_gguf(QUANTIZED, release.quantized, folder, stretch_of(progress, 0.7, 0.3))
    figures.append(computed_figures(release, prompts, folder, QUANTIZED))
    check(figures, BY_TYPE[release.quantization])
    return figures


def likely_share(
    gguf: Path, prompts: Prompts, replies: list[FreeReply], folder: Path, progress: Progress
) -> float:
    """Returns the share of the replies' tokens, ends included, that the file itself finds as likely
    as its own choice, or less so by NEARLY at most.
    """
    tokens = {}
    for reply in replies:
        tokens[reply.name] = reply.tokens + [prompts.end] * reply.ended
    served = []
    for prompt in prompts.answered:
        if tokens.get(prompt.name):
            served.append(replace(prompt, answer=tokens[prompt.name], most_tokens=0))
    if not served:  # no reply has a token
        return 0.0
    folder = folder / SERVED
    folder.mkdir()
    write_prompts(replace(prompts, prompts=served), folder / "prompts.json")
    _measure_gguf(SERVED, gguf, folder, progress)
    scores = read_scores(folder, SERVED)
    behind = scores.nats + scores.log_probs.max(axis=1)
    return float((behind <= NEARLY).mean())


def check_served(figures: list[Figures]) -> None:
    """Raises WorkError if the served hop, the last of all figures, has faults."""
    served = figures[-1]
    if served.faults:
        _refuse(figures, served.name, list(served.faults))


def _measure_torch(release: Release, folder: Path, progress: Progress) -> None:
    job = TorchJob(
        prompts=str(folder / "prompts.json"),
        base=str(release.base),
        adapter=str(release.adapter) if release.adapter else None,
        trained=asdict(release.trained) if release.trained else None,
        merged=str(release.merged),
    )
    run_job("torch_hops", job, folder / "torch.json", progress)


def _measure_gguf(name: str, gguf: Path, folder: Path, progress: Progress) -> None:
    job = LlamaJob(str(folder / "prompts.json"), name, str(gguf))
    try:
        run_job("llama_hop", job, folder / f"{name}-job.json", progress)
    except WorkError as error:
        raise WorkError(refusal(name, [str(error)])) from None


def computed_figures(release: Release, prompts: Prompts, folder: Path, name: str) -> Figures:
    """Returns the figures of a hop that was measured, with the faults that need no figures."""
    figures = read_figures(folder, name, prompts, release.base)
    said = read_json(folder / f"{name}-facts.json")
    if name in (REFERENCE, MERGED):
        facts = TorchFacts(**said)
        faults = () if name == REFERENCE else _end_faults(facts, prompts.end)
        return replace(figures, seconds=facts.seconds, faults=faults)
    gguf = GgufFacts(**said)
    return replace(figures, seconds=gguf.seconds, faults=_gguf_faults(gguf, prompts, release.base))


def check(figures: list[Figures], limits: Limits) -> None:
    """Raises WorkError if the last of the hops breaks its limits."""
    hop = figures[-1]
    found = breaches(hop, figures[-2], limits)
    if found:
        _refuse(figures, hop.name, found)


def _refuse(figures: list[Figures], hop: str, found: list[str]) -> None:
    for line in table_lines(figures):
        log.warning("%s", line)
    raise WorkError(refusal(hop, found))


def _end_faults(facts: TorchFacts, end: int) -> tuple[str, ...]:
    if facts.ends:
        return ()
    return (f"its generation_config.json does not name token {end}, which ends an answer",)


def _gguf_faults(facts: GgufFacts, prompts: Prompts, base: Path) -> tuple[str, ...]:
    faults = []
    if facts.eos != prompts.end or not facts.ends:
        faults.append(
            f"it ends answers with token {facts.eos}, and training with {prompts.end}: it would"
            " stop elsewhere or never"
        )
    if not facts.chat_template:
        faults.append("it has no chat template")
    elif facts.chat_template != ChatTemplate(base).source:
        faults.append("its chat template is not the training tokenizer's")
    if facts.other_tokens:
        faults.append(
            f"llama.cpp cuts {len(facts.other_tokens)} of {len(prompts.prompts)} prompts into other"
            f" tokens than the training tokenizer, the first is {facts.other_tokens[0]!r}"
        )
    return tuple(faults)
