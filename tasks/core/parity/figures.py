"""What a hop's files say: its figures against the reference, each with its standard error."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tasks.core.kinds import kind_named
from tasks.core.kinds.base import scene_from_dict
from tasks.core.parity.hop import (
    REFERENCE,
    Floats,
    FreeReply,
    Scores,
    read_replies,
    read_scores,
)
from tasks.core.parity.prompts import Prompts


@dataclass(frozen=True)
class Estimate:
    """A mean over prompts or replies, and its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class ReplyFigures:
    """Figures of a hop's free replies; None if there were none, or none with a kind."""

    greedy: Estimate | None = None  # share of a reply before it leaves the reference's
    ended: Estimate | None = None  # share that a token that ends an answer ended
    schema: Estimate | None = None  # share that obeys its kind's schema
    grade: Estimate | None = None  # mean grade, 0 to 1


@dataclass(frozen=True)
class Figures:
    """One hop's figures; None stands for what the hop does not tell."""

    name: str
    seconds: float
    nats: Estimate | None = None  # a token of the right answers
    kl_mean: Estimate | None = None  # nats a token, of the reference's distribution to the hop's
    kl_high: float | None = None  # the 99.9th percentile of these, nats
    same_top: Estimate | None = None  # share of tokens at which the likeliest one is the same
    likely: float | None = None  # share of the served tokens that the quantized file finds likely
    replies: ReplyFigures = field(default_factory=ReplyFigures)
    faults: tuple[str, ...] = field(default_factory=tuple)  # what is wrong whatever the figures say

    def as_json(self) -> dict[str, Any]:
        """Returns the figures as JSON can hold them."""
        return asdict(self)


def read_figures(folder: Path, name: str, prompts: Prompts, tokenizer_dir: Path) -> Figures:
    """Returns a computed hop's figures; its seconds are left at 0."""
    scores = read_scores(folder, name)
    reference = read_scores(folder, REFERENCE)
    starts = np.cumsum([0] + [len(prompt.answer) for prompt in prompts.prompts])[:-1]
    divergence = _divergence(reference, scores)
    same = (scores.top == reference.top).astype(float)
    return Figures(
        name=name,
        seconds=0.0,
        nats=_over_prompts(scores.nats, starts),
        kl_mean=_over_prompts(divergence, starts),
        kl_high=float(np.percentile(divergence, 99.9)),
        same_top=_over_prompts(same, starts),
        replies=reply_figures(
            read_replies(folder, name), read_replies(folder, REFERENCE), prompts, tokenizer_dir
        ),
    )


def reply_figures(
    replies: list[FreeReply], reference: list[FreeReply], prompts: Prompts, tokenizer_dir: Path
) -> ReplyFigures:
    """Returns the figures of free replies, which are in any order."""
    tokenizer = Tokenizer.from_file(str(tokenizer_dir / "tokenizer.json"))
    asked = {prompt.name: prompt for prompt in prompts.answered}
    theirs = {reply.name: reply for reply in reference}
    agreements, endings, schemas, grades = [], [], [], []
    for reply in replies:
        prompt = asked[reply.name]
        agreements.append(_agreement(reply, theirs[reply.name]))
        endings.append(float(reply.ended))
        if prompt.scene is not None:
            text = tokenizer.decode(reply.tokens, skip_special_tokens=False)
            kind = kind_named(prompt.kind)
            schemas.append(float(_obeys(text, kind.schema)))
            grades.append(kind.grade(scene_from_dict(prompt.scene), text).score)
    return ReplyFigures(
        greedy=mean_of(agreements),
        ended=mean_of(endings),
        schema=mean_of(schemas),
        grade=mean_of(grades),
    )


def mean_of(values: Sequence[float]) -> Estimate | None:
    """Returns the mean of independent values with its standard error; None of none."""
    if not values:
        return None
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Estimate(float(np.mean(values)), spread / math.sqrt(len(values)))


def _divergence(reference: Scores, scores: Scores) -> Floats:
    """The Kullback-Leibler divergence of each token, in nats: of the reference's likeliest tokens
    one by one, and of all others as one.
    """
    likely = np.exp(reference.log_probs)
    of_likely = (likely * (reference.log_probs - scores.log_probs)).sum(axis=1)
    rest = np.clip(1 - likely.sum(axis=1), 1e-12, 1)
    rest_here = np.clip(1 - np.exp(scores.log_probs).sum(axis=1), 1e-12, 1)
    divergence: Floats = np.maximum(of_likely + rest * np.log(rest / rest_here), 0)
    return divergence


def _over_prompts(values: Floats, starts: NDArray[np.int64]) -> Estimate:
    """The mean over all tokens. A prompt's tokens are alike, so the error counts prompts: it is
    that of a ratio of sums (Cochran 1977, 2.47).
    """
    sums = np.add.reduceat(values, starts)
    counts = np.diff([*starts, len(values)])
    mean = float(values.mean())
    prompts = len(starts)
    if prompts < 2:
        return Estimate(mean, 0.0)
    spread = float(np.std(sums - mean * counts, ddof=1))
    return Estimate(mean, spread * math.sqrt(prompts) / len(values))


def _agreement(reply: FreeReply, reference: FreeReply) -> float:
    """The share of the longer reply, its end included, before the two part."""
    ours = [*reply.tokens, reply.ended]
    theirs = [*reference.tokens, reference.ended]
    same = 0
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            break
        same += 1
    return same / max(len(ours), len(theirs))


def _obeys(text: str, schema: dict[str, Any]) -> bool:
    try:
        return jsonschema_rs.is_valid(schema, json.loads(text))
    except ValueError:
        return False
