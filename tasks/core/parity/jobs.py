"""What the programs of the hops are told, and what they say besides the figures; all is JSON."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TorchJob:
    """What the program is told, as JSON."""

    prompts: str  # prompts.json; the hops' files are written beside it
    base: str
    adapter: str | None
    trained: dict[str, Any] | None  # TrainingBase; None for a base in its own values
    merged: str


@dataclass(frozen=True)
class TorchFacts:
    """What the program says of a model, besides its figures."""

    seconds: float  # of loading and computing
    ends: bool  # whether it stops at the token that ends an answer


@dataclass(frozen=True)
class LlamaJob:
    """What the program is told, as JSON."""

    prompts: str  # prompts.json; the hop's files are written beside it
    name: str  # the hop's
    gguf: str


@dataclass(frozen=True)
class GgufFacts:
    """What llama.cpp says of a GGUF, without computing."""

    seconds: float  # of loading and computing
    vocabulary: int  # tokens
    eos: int
    ends: bool  # whether llama.cpp stops at the token that ends an answer
    chat_template: str
    other_tokens: list[str]  # names of the prompts that llama.cpp cuts into other tokens
