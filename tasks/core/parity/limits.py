"""How far each hop of a release may be from what was trained, and why so far and no further."""

from dataclasses import dataclass

from tasks.core.parity.figures import Estimate, Figures
from tasks.core.parity.hop import F16, MERGED, QUANTIZED, SERVED

VERSION = 3
"""Raise it if a limit or the choice of prompts changes: models that passed the old ones are then
proven again.
"""


@dataclass(frozen=True)
class Limits:
    """How much further from the reference a computed hop may be than the hop before it."""

    kl_mean: float  # nats a token
    kl_high: float  # nats, the 99.9th percentile
    same_top: float  # share of tokens
    nats: float  # nats a token that the right answers may cost more


@dataclass(frozen=True)
class Blame:
    """What a breach of a hop usually comes from, and what helps."""

    between: str
    cause: str
    remedy: str


MERGE = Limits(kl_mean=2e-3, kl_high=0.1, same_top=0.02, nats=0.01)
"""The sum of weight and update is rounded once, to F16: 1e-6 nats of KL and 0.0001 nats a token for
the demo's adapter. What is left to the limits is a reference whose NF4 scales another device made.
Other base values, another scale or other matrices cost far more: the 16-bit base in place of NF4's
values 0.18 nats a token.
"""

CONVERSION = Limits(kl_mean=1e-3, kl_high=0.05, same_top=0.01, nats=0.005)
"""The same values in another form, computed by another program: 2e-6 nats measured for the demo's
model, its 99.9th percentile 5e-5, and every top token the same.
"""

BY_TYPE = {
    "F16": CONVERSION,
    "Q8_0": Limits(kl_mean=0.02, kl_high=1.0, same_top=0.1, nats=0.1),
    "Q5_K_M": Limits(kl_mean=0.15, kl_high=4.0, same_top=0.25, nats=0.3),
    "Q4_K_M": Limits(kl_mean=0.25, kl_high=6.0, same_top=0.4, nats=0.45),
    "Q4_K_S": Limits(kl_mean=0.38, kl_high=7.0, same_top=0.45, nats=0.6),
    "Q3_K_M": Limits(kl_mean=0.75, kl_high=9.0, same_top=0.6, nats=1.2),
    "Q2_K": Limits(kl_mean=2.5, kl_high=12.0, same_top=0.8, nats=2.5),
}
"""What a quantization costs depends on the model, and small ones lose most.

Q4_K_M was measured with two adapters of 135 million weights. One that was hardly trained lost 0.077
nats of KL, 0.15 nats a token and a fifth of the top tokens. One that was trained well lost 0.02,
0.02 and a hundredth, with a 99.9 % KL of 2.0. Its limits are three times the worse of the two, and
twice for the top tokens. The KL of Q4_K_S, Q3_K_M and Q2_K is to that of Q4_K_M as it was measured
with the first adapter and no matrix; all other limits are estimates. The file of another model is 5
nats away or more.
"""

NEARLY = 0.5
"""Nats by which a served token may be less likely than the quantized file's own choice. The server
may be another build of llama.cpp, with 16-bit keys and values: it takes another token where two are
nearly alike, and then goes on from there.
"""

SERVED_LIKELY = 0.9
"""Share of the served tokens that must be within NEARLY. Another prompt, other weights or a penalty
on repeats choose otherwise all the time. A few tokens may: a reply's text is cut into tokens anew.
"""

BLAMES = {
    MERGED: Blame(
        "adapter → merged",
        "the adapter was merged into other base values than it was trained on, with a wrong scale,"
        " or not into every layer",
        "Look at base.json and adapter_config.json in the adapter's folder; they must be those that"
        " training wrote, and the base model must be the one that it trained on",
    ),
    F16: Blame(
        "merged → F16 GGUF",
        "llama.cpp's converter reads this model otherwise than transformers does (RoPE, a tied"
        " head, the tokenizer, the template), or the file is another model's",
        "Remove the gguf artifact to convert again; if it fails again, name a newer llama.cpp in"
        " KOSPILOT_LLAMA_CPP",
    ),
    QUANTIZED: Blame(
        "F16 GGUF → quantized",
        "this quantization costs the model too much, or the file is another model's",
        "Take one with more bits, e.g. release.quantization=Q8_0",
    ),
    SERVED: Blame(
        "quantized → served",
        "the server asks the model otherwise than it was trained: template, context or parameters",
        "Compare the Modelfile on the server with the training template, and release.num_ctx with"
        " the longest row",
    ),
}


def breaches(figures: Figures, before: Figures, limits: Limits) -> list[str]:
    """Returns in what a computed hop breaks its limits, in words with units; nothing if it holds
    them. `before` is the hop that it was made from.
    """
    found = list(figures.faults)
    for words, name, limit, unit in (
        ("mean KL", "kl_mean", limits.kl_mean, "nats a token"),
        ("99.9 % KL", "kl_high", limits.kl_high, "nats"),
        ("the right answers' cost", "nats", limits.nats, "nats a token"),
    ):
        value, old = _value(figures, name), _value(before, name)
        if value - old > limit:
            found.append(f"{words} rises from {old:.2g} to {value:.2g} {unit} (limit {limit:g})")
    value, old = 100 * _value(figures, "same_top"), 100 * _value(before, "same_top")
    if old - value > 100 * limits.same_top:
        limit = 100 * limits.same_top
        found.append(f"the same top token falls from {old:.1f} to {value:.1f} % (limit {limit:g})")
    return found


def _value(figures: Figures, name: str) -> float:
    estimate: Estimate | float | None = getattr(figures, name)
    assert estimate is not None, "a computed hop has all figures"
    return estimate.value if isinstance(estimate, Estimate) else estimate


def refusal(hop: str, found: list[str]) -> str:
    """Returns the error of a hop that broke its limits."""
    blame = BLAMES[hop]
    return (
        f"This release is not the model that was trained. It parts from it at {hop}"
        f" ({blame.between}): {'; '.join(found)}. Likely {blame.cause}. {blame.remedy}. Nothing was"
        " registered, and whoever holds the name keeps it."
    )
