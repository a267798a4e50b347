"""What has to be true of the policy before the first step and after the last one, and by how much
it is not.

Each function looks at one thing and tells it as report.Check; report.Report stops the stage where
one does not hold.
"""

import math
from pathlib import Path

import torch
from bitsandbytes.nn import Linear4bit
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer

from tasks.core.training.checks.compared import SETTLED, Compared
from tasks.core.training.checks.report import Check
from tasks.core.training.policy.adapter import lora_weights

LN2_TOLERANCE = 1e-3  # of the DPO loss at ln 2 and of the rewards at 0
LOG_PROB_TOLERANCE = (
    1e-2  # nats per sequence: the same weights and kernels, so only the order of sums may differ
)
SAME_LOSS = {
    torch.float32: 1e-4,
    torch.bfloat16: 2e-2,
    torch.float16: 2e-2,
}  # mean nats per token of an answer
# times as far from float32 as PEFT; over 130 tokens right runs were 0.7 to 1.7 times as far
# (SmolLM2)
_ROUNDING = 3
_ROUNDING_FLOOR = 1e-4  # nats: what the order of sums alone makes of float32's
# of a token's rounding: rows that begin alike share their beginning's; a right run leaned by 0.41
# (SmolLM2)
_LEAN = 1
MOVED_SHARE = 0.9  # of the LoRA elements, after a stage


def check_complete(policy: PeftModel, targets: list[str]) -> list[Check]:
    """Every linear layer that training.target_modules names has an adapter, and nothing but
    adapters is trained.
    """
    named = [
        (name, layer)
        for name, layer in policy.base_model.model.named_modules()
        if _last(name) in targets
    ]
    bare = [name for name, layer in named if not isinstance(layer, BaseTunerLayer)]
    adapters = {name for name, _ in lora_weights(policy)}
    others = [
        name
        for name, weight in policy.named_parameters()
        if weight.requires_grad and name not in adapters
    ]
    return [
        Check(
            "layers_with_adapter",
            len(named) - len(bare),
            f"of {len(named)}",
            "all",
            f"{len(bare)} of {len(named)} layers have no adapter, the first is {bare[0]}."
            if bare
            else "",
        ),
        Check(
            "trained_beside_the_adapter",
            len(others),
            "weights",
            "0",
            f"{len(others)} weights of the base would be trained, the first is {others[0]}."
            if others
            else "",
        ),
    ]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def check_types(policy: PeftModel, compute: torch.dtype) -> list[Check]:
    """The base computes in the compute type, from NF4 or from its values; every LoRA weight is
    float32.
    """
    linear = [
        (name, layer)
        for name, layer in policy.named_modules()
        if isinstance(layer, torch.nn.Linear) and "lora_" not in name
    ]
    wrong = [(name, found) for name, layer in linear if (found := _computes_in(layer)) != compute]
    problem = ""
    if wrong:
        problem = f"{len(wrong)} base layers compute in {_name(wrong[0][1])}, not {_name(compute)}: {wrong[0][0]}."
    nf4 = sum(isinstance(layer, Linear4bit) for _, layer in linear)
    held = f"{nf4} layers NF4, {len(linear) - nf4} in {torch.finfo(compute).bits} bit"
    return [
        Check("base_computes_in", _name(compute), f"({held})", _name(compute), problem),
        check_float32(policy),
    ]


def _computes_in(layer: torch.nn.Linear) -> torch.dtype:
    return layer.compute_dtype if isinstance(layer, Linear4bit) else layer.weight.dtype


def check_float32(policy: PeftModel) -> Check:
    """Every LoRA weight is float32: in bf16 small updates vanish, and a resumed run differs."""
    weights = list(lora_weights(policy))
    wrong = [name for name, weight in weights if weight.dtype != torch.float32]
    count = sum(weight.numel() for _, weight in weights)
    problem = (
        f"{len(wrong)} LoRA weights are not float32, the first is {wrong[0]}." if wrong else ""
    )
    return Check("lora_parameters_float32", count, "parameters", "all LoRA weights", problem)


def check_same_weights(policy: PeftModel, expected: dict[str, torch.Tensor], whose: str) -> Check:
    """The policy's LoRA weights are exactly these."""
    odd, weights = [], list(lora_weights(policy))
    for name, weight in weights:
        if name not in expected:
            odd.append(f"{name} is not among {whose}'s")
        elif not torch.equal(weight.detach().cpu(), expected[name].float()):
            gap = (weight.detach().cpu() - expected[name].float()).abs().max().item()
            odd.append(f"{name} is not {whose}'s: they differ by up to {gap:.3g}")
    problem = (
        f"{len(odd)} LoRA matrices are others than {whose}'s. The policy's {odd[0]}." if odd else ""
    )
    equal = len(weights) - len(odd)
    return Check(
        "start_weights", equal, f"of {len(weights)} matrices equal {whose}'s", "all", problem
    )


def check_gradients(policy: PeftModel, loss: torch.Tensor) -> Check:
    """A backward pass reaches every LoRA matrix. B starts at zero, so A's gradient may be zero, but
    it is there.
    """
    loss.backward()
    weights = list(lora_weights(policy))
    without = [name for name, weight in weights if weight.grad is None]
    without += [
        n
        for n, weight in weights
        if "lora_B" in n and weight.grad is not None and not weight.grad.any()
    ]
    policy.zero_grad(set_to_none=True)
    problem = f"{len(without)} LoRA matrices get no gradient, e.g. {without[0]}." if without else ""
    return Check(
        "matrices_with_gradient", len(weights) - len(without), f"of {len(weights)}", "all", problem
    )


def check_packing(proof: Compared, otherwise: str, moment: str = "at_start") -> Check:
    """Mean log-probs of a few answers are the same with other rows beside them as for each row
    alone, nats a token.

    So is the mean over all of them, in which most noise cancels and a fault that leans one way does
    not. In 16 bits fewer than SETTLED tokens may differ by more, as their mean is noisier.
    otherwise: the setting that avoids the fault.
    """
    gaps, tokens = proof.alone - proof.together, proof.tokens
    gaps = torch.cat([gaps, (gaps * tokens).sum(0, keepdim=True) / tokens.sum()]).abs()
    limits = torch.full_like(gaps, SAME_LOSS[proof.dtype])
    if proof.dtype != torch.float32:
        limits *= (SETTLED / torch.cat([tokens, tokens.sum(0, keepdim=True)])).sqrt().clamp(min=1)
    worst = (gaps / limits).argmax()  # one that is no number counts as the largest
    gap, most = gaps[worst].item(), limits[worst].item()
    problem = (
        f"Log-probs of rows packed together differ from those of each row alone by {gap:.4f} nats a token, more than"
        f" {most:.2g}. Use {otherwise}."
    )
    ok = gap <= most  # not so where it is no number
    name, limit = f"packed_against_alone_{moment}", f"<= {most:.2g}"
    return Check(name, round(gap, 6), "nats a token", limit, "" if ok else problem)


def check_rounding(proof: Compared, otherwise: str, moment: str = "at_start") -> list[Check]:
    """Packed tokens' log-probs are about as far from float32's as PEFT's, rounded likewise: more is
    no rounding.

    Their mean is off by less: most rounding cancels in it, and a fault that leans one way does not.
    Rounding hits few tokens hard, so that fewer than SETTLED tokens may be further off.
    """
    told, noisier = proof.rounding, max(1, SETTLED / proof.tokens.sum().item()) ** 0.5
    most, on_average = (
        max(times * noisier * told.usual, _ROUNDING_FLOOR) for times in (_ROUNDING, _LEAN)
    )
    begin = "Log-probs of rows packed together are off from float32's by"
    beyond = f"rounding makes {told.usual:.2g} of each row alone. Use {otherwise}."
    far = f"{begin} {told.off:.4f} nats a token, more than {most:.2g}: {beyond}"
    leaning = f"{begin} {abs(told.lean):.4f} nats on average, more than {on_average:.2g}: {beyond}"
    # neither holds where it is no number
    found = (
        ("off", told.off, f"<= {most:.2g}", "" if told.off <= most else far),
        (
            "mean_off",
            told.lean,
            f"+- {on_average:.2g}",
            "" if abs(told.lean) <= on_average else leaning,
        ),
    )
    return [
        Check(f"{name}_from_float32_{moment}", round(value, 6), "nats a token", limit, problem)
        for name, value, limit, problem in found
    ]


def check_reference(told: dict[str, float]) -> list[Check]:
    """On the starting policy's weights DPO's loss is ln 2, its rewards 0, and both sides' log-probs
    the reference's.

    told: loss, reward (largest absolute), log_prob_gap (largest, nats per sequence).
    """
    loss, reward, gap = told["loss"], told["reward"], told["log_prob_gap"]
    begin, ln2 = "Before the first step", math.log(2)
    loss_problem = f"{begin} the DPO loss is {loss:.6f}, not ln 2 = {ln2:.6f}."
    gap_problem = f"{begin} the policy's log-probs differ from its reference's by {gap:.4f} nats."
    return [
        _within("dpo_loss", loss, ("nats", ln2, LN2_TOLERANCE), loss_problem),
        _within(
            "dpo_reward",
            reward,
            ("", 0, LN2_TOLERANCE),
            f"{begin} a reward is {reward:.6f}, not 0.",
        ),
        _within("dpo_log_prob_gap", gap, ("nats an answer", 0, LOG_PROB_TOLERANCE), gap_problem),
    ]


def check_start_files(same: bool, start: Path) -> Check:
    """The files of the adapter that the stage started from, which is DPO's reference, are still
    what they were.
    """
    problem = (
        ""
        if same
        else f"The files of {start} changed while the stage that started from them trained."
    )
    return Check(
        "start_adapter_files", "unchanged" if same else "changed", "", "unchanged", problem
    )


def check_frozen(gap: float) -> Check:
    """After the stage the starting weights still have the log-probs that the reference was given
    before it.
    """
    problem = f"The reference moved while the stage trained: its log-probs differ by {gap:.4f} nats an answer."
    return _within(
        "dpo_reference_at_the_end", gap, ("nats an answer", 0, LOG_PROB_TOLERANCE), problem
    )


def _within(name: str, value: float, wanted: tuple[str, float, float], problem: str) -> Check:
    """wanted: unit, the right value, and how far off is allowed; what is no number is never within."""
    unit, right, tolerance = wanted
    limit = f"{right:.6f} +- {tolerance:g}" if right else f"<= {tolerance:g}"
    return Check(
        name, round(value, 6), unit, limit, "" if abs(value - right) <= tolerance else problem
    )


def check_optimizer(policy: PeftModel, optimizer: torch.optim.Optimizer) -> Check:
    """The optimizer updates every LoRA matrix."""
    updated = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    weights = list(lora_weights(policy))
    without = [
        name for name, weight in weights if id(weight) not in updated or not weight.requires_grad
    ]
    problem = (
        f"{len(without)} LoRA matrices are not the optimizer's, the first is {without[0]}."
        if without
        else ""
    )
    return Check(
        "matrices_in_the_optimizer",
        len(weights) - len(without),
        f"of {len(weights)}",
        "all",
        problem,
    )


def check_optimizer_state(optimizer: torch.optim.Optimizer) -> Check:
    """Its moments are float32, or 8-bit with float32 scales; in 16 bit small updates are lost."""
    state = optimizer.state.values()
    types = {
        _name(x.dtype)
        for kept in state
        for x in kept.values()
        if torch.is_tensor(x) and x.numel() > 1
    }
    half = types & {"bfloat16", "float16"}
    problem = (
        f"The optimizer keeps {', '.join(sorted(half))} numbers, in which small updates are lost."
        if half
        else ""
    )
    return Check("optimizer_state", ", ".join(sorted(types)), "", "float32, uint8", problem)


def check_moved(policy: PeftModel, before: dict[str, torch.Tensor], strict: bool) -> list[Check]:
    """Share of the LoRA elements that changed. Strict: at least MOVED_SHARE of them, and some in
    every matrix.
    """
    total, moved, still = 0, 0, []
    for name, weight in lora_weights(policy):
        changed = int((weight.detach().cpu() != before[name]).sum())
        total, moved = total + weight.numel(), moved + changed
        still += [] if changed else [name]
    share = moved / total
    low = share == 0 or (strict and share < MOVED_SHARE)
    problem = (
        f"Only {100 * share:.1f} % of the LoRA elements moved: part of the adapter was not trained."
    )
    held = (
        f"{len(still)} LoRA matrices did not move at all, the first is {still[0]}."
        if still and strict
        else ""
    )
    return [
        Check(
            "elements_moved_share",
            round(share, 4),
            "of the LoRA elements",
            f">= {MOVED_SHARE}" if strict else "> 0 (few steps)",
            problem if low else "",
        ),
        Check(
            "matrices_that_did_not_move", len(still), "", "0" if strict else "any (few steps)", held
        ),
    ]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
