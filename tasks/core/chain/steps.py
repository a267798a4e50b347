"""The chain as data: what each step reads, which settings shape its result, and which of its files
are its content.

    download → normalize ─────────────► stage1 (SFT) ─┐
    market → synthesize ──────────────► stage2 (SFT) ─┤
                         └─► pairs ───► stage3 (DPO) ─┴► merge → gguf → quantize → register →
                             evaluate → promote

A step's key is made of exactly this (see plan.py). Raise a step's version when its code would make
other content.
"""

from dataclasses import dataclass, field, replace

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Settings

STAGES = ("stage1", "stage2", "stage3")
STAGE_VERSION = 3
"""Version of the three, which is also written beside an adapter that is trained on another machine."""

_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
_TOKENIZER = ("base/tokenizer*", "base/chat_template*", "base/special_tokens*")


@dataclass(frozen=True)
class Step:
    """One kind of artifact."""

    name: str
    content: tuple[
        str, ...
    ]  # globs of the files that count; the others (reports, curves, logs) are beside them
    reads: dict[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # upstream step -> globs of its content
    settings: tuple[str, ...] = ()  # sections, or section.field
    version: int = 1
    expendable: bool = (
        False  # content may be removed once the release passed, and is rebuilt on demand
    )
    resumes: bool = False  # an interrupted attempt's staging folder is continued, not discarded
    live: bool = False  # a hit must also be true of the model server


def chain(settings: Settings) -> dict[str, Step]:
    """Every step in the order of the picture; skipped stages are left out."""
    skip = settings.stages.skip
    ran = [stage for stage in STAGES if stage not in skip]
    steps = [
        Step("download", content=("base/*", "sources/*")),
        Step(
            "normalize",
            content=("rows.parquet",),
            reads={"download": ("sources/*",)},
            settings=("data",),
            version=2,
        ),
        Step("market", content=("train/*", "holdout/*"), settings=("market",), version=2),
        Step(
            "synthesize",
            content=("rows.jsonl",),
            reads={"market": ("train/*",), "download": ("base/tokenizer.json",)},
            settings=("synthesis",),
            version=2,
        ),
        *_training_steps(ran, settings),
        Step(
            "merge",
            content=("*.safetensors", "*.json", "chat_template.jinja"),
            reads={"download": ("base/*",), **_adapter_of(released_stage(settings))},
            expendable=True,
        ),
        Step("gguf", content=("model-f16.gguf",), reads={"merge": ("*",)}, expendable=True),
        Step(
            "quantize",
            content=("model.gguf",),
            reads={"gguf": ("model-f16.gguf",)},
            settings=("release.quantization",),
        ),
        Step(
            "register",
            content=("registration.json",),
            reads={"quantize": ("model.gguf",), "download": _TOKENIZER},
            settings=("release",),
            live=True,
        ),
        Step(
            "baseline",
            content=("model.gguf",),
            reads={"download": ("base/*",)},
            settings=("release.quantization",),
        ),
        Step(
            "evaluate",
            content=("questions.jsonl", "scores.json"),
            reads={
                "market": ("holdout/*",),
                "register": ("registration.json",),
                "download": _TOKENIZER,
                **({"baseline": ("model.gguf",)} if settings.evaluation.baseline else {}),
                # What the model was trained on: its questions are proven not to be among the
                # evaluation's.
                **({"synthesize": ("rows.jsonl",)} if "stage2" in ran else {}),
                **({"pairs": ("pairs.jsonl",)} if "stage3" in ran else {}),
            },
            settings=("evaluation",),
            resumes=True,
            version=3,
        ),
        Step(
            "promote",
            content=("promotion.json",),
            reads={
                "evaluate": ("questions.jsonl", "scores.json"),
                "register": ("registration.json",),
            },
            live=True,
        ),
    ]
    return {
        step.name: step for step in steps if step.name != "baseline" or settings.evaluation.baseline
    }


def released_stage(settings: Settings) -> str | None:
    """The stage whose adapter is released: the newest one that runs, or None where only the base
    model is.
    """
    ran = [stage for stage in STAGES if stage not in settings.stages.skip]
    return ran[-1] if ran else None


def release_tag(settings: Settings) -> str:
    """The model's name on the server, with the stage it came from."""
    suffix = {None: "-base", "stage1": "", "stage2": "-s2", "stage3": "-s3"}
    return settings.release.name + suffix[released_stage(settings)]


def _training_steps(ran: list[str], settings: Settings) -> list[Step]:
    """The stages, and the pairs before them; where Stage 2's own wrong replies are among the pairs,
    after it.
    """
    stages = [_training_step(stage, ran) for stage in ran]
    rows = {"synthesize": ("rows.jsonl",)}
    pairs = Step("pairs", content=("pairs.jsonl",), reads=rows, settings=("pairs",), version=2)
    if not settings.pairs.model_reject_share:
        return [pairs, *stages]
    if "stage2" not in ran:
        raise RequestError(
            f"pairs.model_reject_share={settings.pairs.model_reject_share} asks the Stage 2 model, and stages.skip"
            " leaves stage2 out. Set pairs.model_reject_share=0, or let stage2 run."
        )
    rejects = Step(
        "rejects",
        content=("rejects.jsonl",),
        reads={"download": ("base/*",), "stage2": _ADAPTER, **rows},
        settings=("pairs", "release.quantization"),
        resumes=True,
    )
    pairs = replace(pairs, reads={**rows, "rejects": ("rejects.jsonl",)})
    early = [stage for stage in stages if stage.name != "stage3"]
    return [*early, rejects, pairs, *stages[len(early) :]]


def _training_step(stage: str, ran: list[str]) -> Step:
    earlier = [other for other in ran if other < stage]
    rows = {
        "stage1": {"normalize": ("rows.parquet",)},
        "stage2": {"synthesize": ("rows.jsonl",)},
        "stage3": {"pairs": ("pairs.jsonl",)},
    }[stage]
    start = _adapter_of(earlier[-1]) if earlier else {}
    return Step(
        stage,
        content=_ADAPTER,
        reads={"download": ("base/*",), **rows, **start},
        settings=("training", stage),
        version=STAGE_VERSION,
        resumes=True,
    )


def _adapter_of(stage: str | None) -> dict[str, tuple[str, ...]]:
    return {stage: _ADAPTER} if stage else {}
