"""The last hop of a proof: the model as its server has it, asked as apps ask it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer

from tasks.core.chat.template import ChatTemplate, Messages
from tasks.core.parity.figures import Figures, reply_figures
from tasks.core.parity.hop import QUANTIZED, REFERENCE, SERVED, FreeReply, read_replies
from tasks.core.parity.limits import NEARLY, SERVED_LIKELY
from tasks.core.parity.prompts import Prompt, Prompts
from tasks.core.records.artifacts import Progress

_MARGIN = 1  # a token that the server puts in front, which no prompt of training has

_REPETITION = 20
"""Equal tokens in a row by which a reply is one that repeats itself. Ollama breaks off after 30,
and the quantized file's own reply, which has a limit, may begin to repeat itself a little later.
"""


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


Likely = Callable[[list[FreeReply]], float]
"""Returns the share of the replies' tokens that the quantized file finds likely (proof.py's)."""


@dataclass(frozen=True)
class Proof:
    """What the served model is compared with."""

    prompts: Prompts
    folder: Path  # of the computed hops' files
    tokenizer_dir: Path
    likely: Likely


@dataclass(frozen=True)
class _Answer:
    """A served reply, and what it answers."""

    prompt: Prompt
    said: Said
    reply: FreeReply

    @property
    def broken_off(self) -> bool:
        """Ollama breaks off a reply that repeats one token, and then counts no tokens at all."""
        return self.said.prompt_tokens == 0

    @property
    def is_blank(self) -> bool:
        """llama.cpp's server cuts white space off a reply's ends, and tells no special tokens."""
        return not self.said.text.strip()


def measure_served(asked: Asked, proof: Proof, progress: Progress) -> Figures:
    """Returns the served hop's figures and faults."""
    start = time.perf_counter()
    prompts = proof.prompts
    faults = _context_faults(asked, prompts)
    bos = ChatTemplate(proof.tokenizer_dir).bos_token
    faults += _template_faults(asked, prompts.prompts, bos)
    answers: list[_Answer] = []
    if not faults:
        tokenizer = Tokenizer.from_file(str(proof.tokenizer_dir / "tokenizer.json"))
        answers = _ask(asked, prompts.answered, tokenizer, progress)
        faults += _reply_faults(answers, proof, tokenizer)
    told = [one.reply for one in answers if not one.broken_off and not one.is_blank]
    likely = proof.likely(told) if told else None
    faults += _choice_faults(likely)
    replies = [answer.reply for answer in answers]
    reference = read_replies(proof.folder, REFERENCE)
    return Figures(
        name=SERVED,
        seconds=time.perf_counter() - start,
        likely=likely,
        faults=tuple(faults),
        replies=reply_figures(replies, reference, prompts, proof.tokenizer_dir),
    )


def _ask(
    asked: Asked, prompts: list[Prompt], tokenizer: Tokenizer, progress: Progress
) -> list[_Answer]:
    answers = []
    for number, prompt in enumerate(prompts, 1):
        said = asked.answer(prompt.messages, prompt.most_tokens)
        tokens = tokenizer.encode(said.text, add_special_tokens=False).ids
        answers.append(_Answer(prompt, said, FreeReply(prompt.name, list(tokens), said.ended)))
        progress(number / len(prompts), f"{number} served replies")
    return answers


def _reply_faults(answers: list[_Answer], proof: Proof, tokenizer: Tokenizer) -> list[str]:
    """What shows in how the replies begin and end."""
    theirs = {reply.name: reply for reply in read_replies(proof.folder, QUANTIZED)}
    faults = []
    for answer in answers:
        other = theirs[answer.prompt.name]
        if answer.broken_off:
            faults += _repetition_faults(answer, other, tokenizer)
            continue
        faults += _count_faults(answer.said, answer.prompt)
        if answer.is_blank:
            faults += _blank_faults(answer, other, tokenizer)
            continue
        faults += _end_faults(answer.reply, other)
    return faults


def _repetition_faults(answer: _Answer, other: FreeReply, tokenizer: Tokenizer) -> list[str]:
    """A reply that repeats one token, as the quantized file's own does, is that model's reply."""
    if _longest_repetition(other.tokens, tokenizer) >= _REPETITION:
        return []
    return [
        f"the server breaks off its reply to {answer.prompt.name!r}, as Ollama does when a model"
        " repeats itself, and the quantized file's own reply repeats nothing"
    ]


def _blank_faults(answer: _Answer, other: FreeReply, tokenizer: Tokenizer) -> list[str]:
    """A reply of white space, as the quantized file's own is, is that model's reply."""
    if not tokenizer.decode(other.tokens).strip():
        return []
    return [
        f"the server's reply to {answer.prompt.name!r} is empty and the quantized file's own is not"
    ]


def _longest_repetition(tokens: list[int], tokenizer: Tokenizer) -> int:
    """The most tokens in a row that are one text; white space around it does not count."""
    texts = [tokenizer.decode([token], skip_special_tokens=False).strip() for token in tokens]
    return max((len(list(run)) for _, run in groupby(texts)), default=0)


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


def _end_faults(reply: FreeReply, other: FreeReply) -> list[str]:
    """A reply that goes on where the same words of the quantized file ended."""
    begins_alike = reply.tokens[: len(other.tokens)] == other.tokens
    same = len(reply.tokens) == len(other.tokens) and reply.ended
    if other.ended and begins_alike and not same:
        return [f"the answer to {reply.name!r} does not stop at its end token"]
    return []


def _choice_faults(likely: float | None) -> list[str]:
    if likely is None or likely >= SERVED_LIKELY:
        return []
    return [
        f"the quantized file finds {100 * likely:.0f} % of the served tokens as likely as its own"
        f" choice, or less so by {NEARLY} nats (at least {100 * SERVED_LIKELY:.0f} %)"
    ]
