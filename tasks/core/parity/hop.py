"""One hop of a proof: a model's log-probabilities of right answers, and its own free replies.

Reads prompts.json and the reference's files; writes NAME.npz and NAME.json. How a model computes is
the programs' business: here it is whatever turns tokens into logits.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.core.files.atomic import replacing
from tasks.core.files.json_files import read_json, write_json
from tasks.core.parity.prompts import Prompt, Prompts
from tasks.core.records.artifacts import Progress, stretch_of

REFERENCE = "adapter"
MERGED = "merge"
F16 = "gguf"
QUANTIZED = "quantize"
SERVED = "serve"
"""Names of the hops; each is the step that makes it."""

TOP = 64
"""Tokens whose probabilities are compared one by one; all others count as one. Their divergence is
a lower bound of the whole vocabulary's, and misses only what the others do among themselves.
"""

_LOOKAHEAD = 4
"""Tokens of a guess that are read at once while a reply is off its draft: they take little more
time than one, and two or three are right in a reply in JSON.
"""

_TAIL = 3
"""Last tokens of a reply that are looked for in what was read, to guess how it goes on."""

_SCORING = 0.8
"""Share of a hop's time that scoring takes; free replies take the rest."""

Floats = NDArray[np.floating]
Ids = NDArray[np.int64]


class Model(Protocol):
    """A model with one sequence of tokens in its memory."""

    def feed(self, keep: int, tokens: list[int], wanted: int) -> Floats:
        """Forgets all but the first `keep` tokens, reads these after them, and returns the logits
        behind each of the last `wanted`, one row each.
        """

    def ends(self, token: int) -> bool:
        """Whether the token ends an answer, as the model's own files say."""


@dataclass(frozen=True)
class Scores:
    """Figures of each scored token, in the order of the prompts and their tokens."""

    nats: Floats  # -ln p of the right token
    top: Ids  # the likeliest token
    ids: Ids  # the reference's likeliest tokens, TOP of them
    log_probs: Floats  # of these


@dataclass(frozen=True)
class FreeReply:
    """What a model wrote itself, always taking the likeliest token."""

    name: str  # the prompt's
    tokens: list[int]  # without the one that ended it
    ended: bool  # by a token that ends an answer, not by the limit


def measure(model: Model, prompts: Prompts, out: Path, name: str, progress: Progress) -> None:
    """Writes a hop's scores and free replies; the reference's must be there for any other hop but
    the served one, whose own replies are scored.
    """
    ids = None if name in (REFERENCE, SERVED) else read_scores(out, REFERENCE).ids
    scores = _score(model, prompts.prompts, ids, stretch_of(progress, 0.0, _SCORING))
    drafts = {prompt.name: prompt.answer for prompt in prompts.answered}
    if ids is not None:
        drafts = {reply.name: reply.tokens for reply in read_replies(out, REFERENCE)}
    replies = []
    for number, prompt in enumerate(prompts.answered, 1):
        replies.append(free_reply(model, prompt, drafts[prompt.name]))
        share = _SCORING + (1 - _SCORING) * number / len(prompts.answered)
        progress(share, f"{number} / {len(prompts.answered)} free replies")
    with replacing(out / f"{name}.npz") as file, file.open("wb") as writer:
        np.savez(writer, **asdict(scores))
    write_json(out / f"{name}.json", [asdict(reply) for reply in replies])


def read_scores(folder: Path, name: str) -> Scores:
    """Returns what `measure` wrote of a hop's scores."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
        return Scores(**arrays)


def read_replies(folder: Path, name: str) -> list[FreeReply]:
    """Returns what `measure` wrote of a hop's replies."""
    return [FreeReply(**reply) for reply in read_json(folder / f"{name}.json")]


def _score(model: Model, prompts: list[Prompt], ids: Ids | None, progress: Progress) -> Scores:
    """Scores every prompt's answer. What a prompt begins with like the one before it is not read
    again.
    """
    parts = []
    held: list[int] = []
    done = 0
    for number, prompt in enumerate(prompts, 1):
        keep = _common(held, prompt.tokens)
        # The last token of the answer has nothing behind it that is scored.
        held = prompt.tokens + prompt.answer[:-1]
        logits = model.feed(keep, held[keep:], len(prompt.answer))
        behind = done + len(prompt.answer)
        parts.append(_scored(logits, prompt.answer, None if ids is None else ids[done:behind]))
        done = behind
        progress(number / len(prompts), f"{number} / {len(prompts)} prompts")
    return Scores(
        nats=np.concatenate([part.nats for part in parts]),
        top=np.concatenate([part.top for part in parts]),
        ids=np.concatenate([part.ids for part in parts]),
        log_probs=np.concatenate([part.log_probs for part in parts]),
    )


def _common(held: list[int], tokens: list[int]) -> int:
    """The tokens that a prompt has in common with what is held; its last one is read again, because
    the logits behind it are wanted.
    """
    common = 0
    for one, other in zip(held, tokens[:-1], strict=False):
        if one != other:
            break
        common += 1
    return common


def _scored(logits: Floats, answer: list[int], ids: Ids | None) -> Scores:
    log_probs = _log_softmax(logits)
    if ids is None:
        ids = np.argpartition(log_probs, -TOP, axis=1)[:, -TOP:]
    rows = np.arange(len(answer))
    return Scores(
        nats=-log_probs[rows, answer],
        top=log_probs.argmax(axis=1),
        ids=ids,
        log_probs=np.take_along_axis(log_probs, ids, axis=1),
    )


def _log_softmax(logits: Floats) -> Floats:
    """In float64, whose sums over a vocabulary lose nothing that is compared here."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def free_reply(model: Model, prompt: Prompt, draft: list[int]) -> FreeReply:
    """Returns the model's own reply, token by token the likeliest one.

    A draft makes it faster and no other: several guessed tokens are read at once, and all behind
    the first that the model would not have written are thrown away.
    """
    reply: list[int] = []
    read = 0  # tokens of the prompt and the reply that the model holds
    while len(reply) < prompt.most_tokens:
        known = prompt.tokens + reply
        room = prompt.most_tokens - len(reply) - 1
        guess = _guess(prompt, reply, draft)[:room]
        likeliest = model.feed(read, (known + guess)[read:], len(guess) + 1).argmax(axis=1)
        for written, guessed in zip(likeliest, [*guess, None], strict=True):
            if model.ends(int(written)):
                return FreeReply(prompt.name, reply, ended=True)
            reply.append(int(written))
            if written != guessed:
                break
        read = len(prompt.tokens) + len(reply) - 1
    return FreeReply(prompt.name, reply, ended=False)


def _guess(prompt: Prompt, reply: list[int], draft: list[int]) -> list[int]:
    """Tokens that may come next: the rest of the draft as long as the reply is the draft, then what
    followed the reply's last tokens where they stood before, in the draft, the reply or the prompt
    (prompt lookup decoding, Saxena 2023).
    """
    if reply == draft[: len(reply)]:
        return draft[len(reply) :]
    seen = prompt.tokens + reply[:-1] + draft
    for length in range(_TAIL, 0, -1):
        for place in reversed(range(len(seen) - length)):
            if seen[place : place + length] == reply[-length:]:
                return seen[place + length :][:_LOOKAHEAD]
    return []
