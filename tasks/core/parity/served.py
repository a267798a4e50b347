"""The last hop of a proof: the model as its server has it, asked as apps ask it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer

from tasks.core.chat.template import ChatTemplate, Messages
from tasks.core.parity.figures import Figures, reply_figures
from tasks.core.parity.hop import QUANTIZED, REFERENCE, SERVED, FreeReply, read_replies
from tasks.core.parity.limits import SERVED_AGREEMENT
from tasks.core.parity.prompts import Prompt, Prompts
from tasks.core.records.artifacts import Progress

_MARGIN = 1  # a token that the server puts in front, which no prompt of training has


@dataclass(frozen=True)
class Said:
    """A served model's reply."""

    text: str
    prompt_tokens: int  # as the server counts them
    ended: bool  # by the model, not by the limit


class Asked(Protocol):
    """A served model."""

    @property
    def context(self) -> int:
        """Tokens that it is served with, prompt and reply together."""

    def render(self, messages: Messages) -> str:
        """Returns the prompt text that the model gets for a conversation."""

    def answer(self, messages: Messages, most_tokens: int) -> Said:
        """Returns the reply to a conversation, the likeliest token at a time."""


def measure_served(
    asked: Asked, prompts: Prompts, folder: Path, tokenizer_dir: Path, progress: Progress
) -> Figures:
    """Returns the served hop's figures and faults; the computed hops' files are in `folder`."""
    start = time.perf_counter()
    tokenizer = Tokenizer.from_file(str(tokenizer_dir / "tokenizer.json"))
    faults = _context_faults(asked, prompts)
    faults += _template_faults(asked, prompts.prompts, ChatTemplate(tokenizer_dir).bos_token)
    replies = []
    if not faults:
        for number, prompt in enumerate(prompts.answered, 1):
            said = asked.answer(prompt.messages, prompt.most_tokens)
            tokens = tokenizer.encode(said.text, add_special_tokens=False).ids
            replies.append(FreeReply(prompt.name, list(tokens), said.ended))
            faults += _count_faults(said, prompt)
            progress(number / len(prompts.answered), f"{number} served replies")
        faults += _reply_faults(replies, read_replies(folder, QUANTIZED))
    return Figures(
        name=SERVED,
        seconds=time.perf_counter() - start,
        faults=tuple(faults),
        replies=reply_figures(replies, read_replies(folder, REFERENCE), prompts, tokenizer_dir),
    )


def _context_faults(asked: Asked, prompts: Prompts) -> list[str]:
    if asked.context >= prompts.longest + _MARGIN:
        return []
    return [
        f"the context is {asked.context} tokens and the longest row that it was trained on has"
        f" {prompts.longest} (set release.num_ctx to at least {prompts.longest + _MARGIN})"
    ]


def _template_faults(asked: Asked, prompts: list[Prompt], bos: str) -> list[str]:
    """Prompts without a system message are left out: the server puts its own there."""
    with_system = [prompt for prompt in prompts if prompt.messages[0]["role"] == "system"]
    others = []
    for prompt in with_system:
        rendered = asked.render(prompt.messages)
        if rendered not in (prompt.text, bos + prompt.text) and prompt.text != bos + rendered:
            others.append((rendered, prompt.text))
    if not others:
        return []
    rendered, trained = others[0]
    return [
        f"{len(others)} of {len(with_system)} prompts are rendered otherwise than in training, the"
        f" first as {rendered[-60:]!r} where training has {trained[-60:]!r}"
    ]


def _count_faults(said: Said, prompt: Prompt) -> list[str]:
    """A server that cuts a prompt, or reads it as other tokens, counts others."""
    surplus = said.prompt_tokens - len(prompt.tokens)
    if surplus in (0, _MARGIN):
        return []
    return [
        f"the server reads prompt {prompt.name!r} as {said.prompt_tokens} tokens where training"
        f" has {len(prompt.tokens)}"
    ]


def _reply_faults(replies: list[FreeReply], quantized: list[FreeReply]) -> list[str]:
    """What the same weights, asked by us, would not have answered."""
    faults = []
    agreements = []
    theirs = {reply.name: reply for reply in quantized}
    for reply in replies:
        other = theirs[reply.name]
        same = _common(reply.tokens, other.tokens)
        agreements.append(same / max(1, len(other.tokens)))
        went_on = same == len(other.tokens) < len(reply.tokens) and other.ended
        if went_on or (reply.tokens == other.tokens and other.ended and not reply.ended):
            faults.append(f"the answer to {reply.name!r} does not stop at its end token")
    if agreements and sum(agreements) / len(agreements) < SERVED_AGREEMENT:
        share = 100 * sum(agreements) / len(agreements)
        faults.append(
            f"replies part from the quantized file's own after {share:.0f} % of them (at least"
            f" {100 * SERVED_AGREEMENT:.0f} %)"
        )
    return faults


def _common(one: list[int], other: list[int]) -> int:
    same = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        same += 1
    return same
