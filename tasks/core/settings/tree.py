"""The one settings tree: typed sections whose defaults are those of the 7B run on one 24 GB card.

Profiles and overrides hold only differences from these defaults; profiles.py puts them together.
"""

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from tasks.core.settings.data import Data
from tasks.core.settings.evaluation import COMPARED, ComparedName, Evaluation
from tasks.core.settings.notify import Notify
from tasks.core.settings.release import Release
from tasks.core.settings.section import BESIDE, LATER, Count, Part, Section, Share
from tasks.core.settings.synthesis import Synthesis

StageName = Literal["stage1", "stage2", "stage3"]
STAGES: tuple[StageName, ...] = ("stage1", "stage2", "stage3")
Weights = Literal["previous_day", "same_day"]
Epoch = Literal["epoch"]


class Model(Section):
    base: Annotated[str, BESIDE] = "Qwen/Qwen2.5-7B-Instruct"
    """Base model: a hub id, with @REVISION if wanted, a local folder, or `demo` for the small
    packaged SmolLM2-135M.
    """


class Market(Section):
    dir: Annotated[str, BESIDE] = "data/market_daily"
    """Folder of daily parquet (year=YYYY/month=M/data.parquet), or `demo` for the generated demo
    market.
    """
    train_until: str = "month"
    """Last training day: a date, `latest-N` trading days, or `month`: the last month end with 60
    days after it.
    """
    start: Annotated[str, LATER] = ""
    """First day, YYYY-MM-DD, that is used; the days before it only warm the windows up. Empty uses
    all.
    """
    weights: Annotated[Weights, LATER] = "previous_day"
    """Market cap by which a stock counts in the market's return: of the day before, as in an index,
    or `same_day`, which favours the day's winners by some 5 basis points a day.
    """
    fetch: Annotated[Literal["none", "krx"], BESIDE] = "none"
    """Where `refresh` fetches new days before it looks at the folder: from KRX (krx), as
    `kospilot market update` does, or nowhere (none).
    """


class Pairs(Section):
    rows: Count = 2_000
    """Preference pairs for Stage 3."""
    model_reject_share: Share = 0.0
    """Share of each flaw's pairs whose rejected answer the Stage 2 model itself gave, asked at
    temperature 0.7; 0 asks no model, 0.15 is a good share on a GPU.
    """
    own: Annotated[str, BESIDE] = ""
    """Your own pairs beside ours: a JSONL or parquet file with `prompt`, `chosen` and `rejected`;
    empty is none.
    """
    seed: int = 42
    """Seed of the pair builder."""


class Stages(Section):
    skip: list[Literal["stage1", "stage2", "stage3"]] = []
    """Stages to leave out; a stage starts from the newest earlier stage that ran, else from the
    base model.
    """
    stage1: Annotated[Literal["train", "shipped"], LATER] = "train"
    """Where Stage 1 comes from: it is trained here (train), or the adapter that ships with kospilot
    stands for it (shipped). That one is of the demo's base in 16 bit and has rank 16; with another
    base, another form of adapter or rows of your own, the stage is trained all the same.
    """


class Training(Section):
    backend: Annotated[Literal["auto", "engine", "unsloth", "trl"], BESIDE] = "auto"
    """Training engine; all train the same thing. engine is the fast one, for Llama, Qwen2 and
    Mistral models in bf16 without lora_dropout; unsloth knows more models (extra `unsloth`,
    Linux with a GPU); trl is TRL, PEFT and bitsandbytes, for any model, with or without a GPU.
    auto takes the first of them that is possible here, and on a CPU trl.
    """
    memory_gib: Annotated[float, BESIDE, Field(ge=0)] = 0
    """Most GPU memory, in GiB, that training plans with and may take; 0 is all that is free."""
    cards: Annotated[int, BESIDE, Field(ge=0)] = 0
    """GPUs that share each step's rows, with the engine; 0 takes all there are. Others train on
    one.
    """
    quantize_base: Annotated[Literal["nf4", "none"], LATER] = "nf4"
    """What the adapter is trained on: the base rounded to NF4 (QLoRA), which takes a third of the
    memory, or its 16-bit weights as they are (none). The adapter is merged into the same values. A
    base that comes as NF4 is taken as it comes.
    """
    base_weights: Annotated[Literal["auto", "bf16", "nf4"], BESIDE] = "auto"
    """How the engine holds an NF4 base: its values kept in 16 bit (bf16), or NF4 as it is (nf4),
    which takes less memory and more time; auto takes what is faster within the memory. The
    values are the same.
    """
    max_length: Count = 2_048
    """Longest row in tokens. Longer rows are left out and counted, never cut."""
    template: Annotated[Literal["known", "chatml", "any"], BESIDE] = "known"
    """Chat template that the base must have: known, one that Ollama is given a template for
    (ChatML, Llama-3, Llama-3.1, Gemma 3); chatml, that one only; any, whatever it has: if none of
    these, the release is served by the embedded server, which runs the model's own template.
    """
    lora_rank: Count = 32
    """Rank r of the LoRA matrices."""
    lora_alpha: Count = 16
    """LoRA scaling numerator; the update is scaled by alpha / r."""
    lora_dropout: Share = 0.0
    """Dropout on the LoRA input."""
    target_modules: list[str] = [
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    ]
    """Linear layers that get an adapter."""
    module_ranks: dict[str, Count] = {}
    """Ranks of single target modules, e.g. training.module_ranks={q_proj: 64, v_proj: 64}; the
    others have lora_rank. All updates are scaled alike, by lora_alpha / lora_rank.
    """
    warmup_ratio: Share = 0.1
    """Share of the optimizer steps over which the learning rate rises to its peak; cosine decay
    follows.
    """
    validation_share: Annotated[float, LATER, Field(ge=0, le=0.5)] = 0.0
    """Share of a stage's rows that is kept for the loss on rows not trained, by which patience
    goes; 0 keeps one row in a hundred, 500 at most, and none of fewer than 20.
    """
    assistant_only_loss: bool = True
    """Train on the assistant's tokens only; false trains on the whole text."""
    max_minutes: Annotated[float, BESIDE, Field(ge=0)] = 0
    """Minutes after which a stage saves a checkpoint and stops; the next run continues from it. 0
    is no limit.
    """
    shrink: Annotated[bool, LATER] = False
    """If the card is full and nothing else can be reduced, train with a shorter length (1,024 at
    least), then a smaller rank (16 at least), at last on q_proj and v_proj only. The stage then
    starts again from its beginning.
    """
    seed: int = 42
    """Seed of adapter initialization and row order."""

    @field_validator("base_weights")
    @classmethod
    def _holds_what_there_is(cls, form: str, others: ValidationInfo) -> str:
        if form == "nf4" and others.data.get("quantize_base") == "none":
            raise ValueError(
                "training.quantize_base=none makes no NF4 to hold; take training.base_weights=auto,"
                " or training.quantize_base=nf4"
            )
        return form

    @field_validator("module_ranks")
    @classmethod
    def _names_targets(cls, ranks: dict[str, int], others: ValidationInfo) -> dict[str, int]:
        targets = others.data.get("target_modules", [])
        if odd := [name for name in ranks if name not in targets]:
            raise ValueError(
                f"{odd[0]} gets no adapter: training.target_modules are {', '.join(targets)}"
            )
        return ranks

    @field_validator("shrink")
    @classmethod
    def _shrinks_one_rank(cls, shrink: bool, others: ValidationInfo) -> bool:
        if shrink and others.data.get("module_ranks"):
            raise ValueError(
                "it would halve lora_rank only, and training.module_ranks are set;"
                " take one of the two"
            )
        return shrink

    def rank_of(self, module: str) -> int:
        """Rank of the adapter of the linear layers of this name; 0 if they have none."""
        return self.module_ranks.get(module, self.lora_rank) if module in self.target_modules else 0


class Stage(Section):
    """One supervised stage (SFT)."""

    epochs: Annotated[float, Field(gt=0)]
    """Passes over the rows."""
    effective_batch: Count
    """Rows per optimizer step."""
    micro_batch: Annotated[Count, BESIDE]
    """Rows per forward pass with TRL; accumulation makes up the effective batch. The engine packs
    what fits.
    """
    gradient_checkpointing: Annotated[bool, BESIDE] = True
    """Recompute activations in the backward pass: less memory, more time. The engine decides for
    each layer itself.
    """
    learning_rate: Annotated[float, Field(gt=0)]
    """Peak learning rate of AdamW."""
    token_budget: Annotated[int, Field(ge=0)] = 0
    """Most sequence positions trained in the stage, all epochs together; 0 is no limit. Rows beyond
    it are left out.
    """
    log_every: Annotated[Count, BESIDE]
    """Optimizer steps between two telemetry lines."""
    save_every: Annotated[Count | Epoch, BESIDE]
    """Optimizer steps between two checkpoints, or `epoch`: one at the end of each pass over the
    rows, and of the stage, whose last pass may be a part of one.
    """
    keep: Annotated[Count, BESIDE]
    """Checkpoints kept."""
    eval_every: Annotated[int, Field(ge=0)] | Epoch = 0
    """Optimizer steps between two evaluations on held-out rows, or `epoch`: one at the end of each
    pass over the rows, and of the stage, whose last pass may be a part of one (with epochs=2.5
    there are three; with 0.5, one). 0 evaluates at the end only.
    """
    patience: Annotated[int, Field(ge=0)] = 0
    """The stage stops after this many evaluations without a lower loss, and takes its best
    checkpoint; 0 trains to the end and takes the last one.
    """

    @field_validator("eval_every", "save_every", mode="wrap")
    @classmethod
    def _is_interval(
        cls, every: Any, check: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        """Says in one sentence what pydantic says of each type of a union."""
        try:
            return check(every)
        except ValidationError:
            least = 0 if info.field_name == "eval_every" else 1
            raise ValueError(
                f"write a whole number of optimizer steps, at least {least}, or epoch"
            ) from None

    @field_validator("patience")
    @classmethod
    def _counts_evaluations(cls, patience: int, others: ValidationInfo) -> int:
        if patience and not others.data.get("eval_every"):
            raise ValueError("patience counts evaluations; set eval_every too")
        return patience

    def result_settings(self) -> dict[str, Any]:
        """Evaluating changes a result only if it may end the stage."""
        idle = () if self.patience else ("eval_every", "patience")
        return {
            name: value for name, value in super().result_settings().items() if name not in idle
        }


class Stage1(Stage):
    epochs: Annotated[float, Field(gt=0)] = 2
    effective_batch: Count = 16
    micro_batch: Annotated[Count, BESIDE] = 2
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    log_every: Annotated[Count, BESIDE] = 25
    save_every: Annotated[Count | Epoch, BESIDE] = 500
    keep: Annotated[Count, BESIDE] = 3


class Stage2(Stage):
    epochs: Annotated[float, Field(gt=0)] = 3
    effective_batch: Count = 8
    micro_batch: Annotated[Count, BESIDE] = 2
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    log_every: Annotated[Count, BESIDE] = 10
    save_every: Annotated[Count | Epoch, BESIDE] = 200
    keep: Annotated[Count, BESIDE] = 3


class Stage3(Stage):
    """The preference stage (DPO, sigmoid loss)."""

    epochs: Annotated[float, Field(gt=0)] = 1
    effective_batch: Count = 8
    micro_batch: Annotated[Count, BESIDE] = 1
    learning_rate: Annotated[float, Field(gt=0)] = 5e-7
    log_every: Annotated[Count, BESIDE] = 10
    save_every: Annotated[Count | Epoch, BESIDE] = 200
    keep: Annotated[Count, BESIDE] = 2
    beta: Annotated[float, Field(gt=0)] = 0.1
    """Strength of the pull towards the reference policy."""


class Settings(Part):
    """Every section of the tree."""

    model: Model = Model()
    data: Data = Data()
    market: Market = Market()
    synthesis: Synthesis = Synthesis()
    pairs: Pairs = Pairs()
    stages: Stages = Stages()
    training: Training = Training()
    stage1: Stage1 = Stage1()
    stage2: Stage2 = Stage2()
    stage3: Stage3 = Stage3()
    release: Release = Release()
    evaluation: Evaluation = Evaluation()
    notify: Notify = Notify()

    @property
    def trained_stages(self) -> list[StageName]:
        """The stages that run, in their order: all that stages.skip does not name."""
        return [stage for stage in STAGES if stage not in self.stages.skip]

    @property
    def knows_strategy(self) -> bool:
        """Whether anything is trained on the strategy or asked about it; else there is no market,
        and Stage 1's rows are all.
        """
        return self.evaluation.asks == "strategy" or self.trained_stages != ["stage1"]

    @property
    def ships_stage1(self) -> bool:
        """Whether the shipped adapter stands for Stage 1: it is asked for, and fits."""
        shipped = Training(quantize_base="none", lora_rank=16)
        form = ("quantize_base", "lora_rank", "lora_alpha", "target_modules", "module_ranks")
        return (
            self.stages.stage1 == "shipped"
            and self.model.base == "demo"
            and not (self.data.own or self.data.reasoning_logs)
            and all(getattr(self.training, name) == getattr(shipped, name) for name in form)
        )

    @property
    def released_stage(self) -> StageName | None:
        """The stage whose adapter is released: the newest that runs, or None for the base alone."""
        return self.trained_stages[-1] if self.trained_stages else None

    @property
    def compared_models(self) -> list[ComparedName]:
        """The models that are asked beside the release, in the order in which they come about: the
        released stage is the release itself, and so is the F16 model if that is released.
        """
        none = {"base", "briefed"} if not self.evaluation.baseline else set()
        none |= set(STAGES) - set(self.trained_stages[:-1])
        none |= {"f16"} if self.release.quantization == "F16" else set()
        return [name for name in COMPARED if name in self.evaluation.models and name not in none]

    @property
    def release_tag(self) -> str:
        """The model's name on the server, whose suffix names the stage it came from."""
        suffixes = {None: "-base", "stage1": "", "stage2": "-s2", "stage3": "-s3"}
        return self.release.name + suffixes[self.released_stage]

    def declared(self, entries: Collection[str]) -> Self:
        """A copy that holds only these entries, each `section` or `section.field`.

        Reading any other setting raises UndeclaredSetting.
        """
        part = self.only(entry.partition(".")[0] for entry in entries)
        for section in list(part.__dict__):
            if section in entries:
                continue
            mine = [entry for entry in entries if entry.startswith(f"{section}.")]
            fields = [entry.partition(".")[2] for entry in mine]
            part.__dict__[section] = getattr(self, section).only(fields)
        return part
