"""The torch version of TRL's Triton kernel: same call, same log-probs, right gradients."""

import inspect

import pytest
import torch
import trl.trainer.utils as trl_utils
from trl.kernels.chunked_logprob import ChunkedLogProbFunction

from tasks.core.training.backends import cpu_kernel


def call(hidden, weight, targets, temperature=1.0, logit_scale=1.0):
    return trl_utils._ChunkedLogProbFunction.apply(
        hidden,
        weight,
        None,
        targets,
        temperature,
        8192,
        None,
        logit_scale,
        ("entropy", "mean_logits", "is_top1"),
    )


@pytest.fixture(autouse=True)
def in_place():
    cpu_kernel.use_on_cpu()


@pytest.fixture
def case():
    """More targets than one part of the calculation holds; the head is frozen, as under LoRA."""
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(700, 16, generator=generator).requires_grad_()
    return (
        hidden,
        torch.randn(50, 16, generator=generator),
        torch.randint(50, (700,), generator=generator),
    )


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.7}, {"logit_scale": 0.5, "temperature": 2.0}]
)
def test_values_and_gradients_are_those_of_a_plain_log_softmax(case, options):
    hidden, weight, targets = case
    log_probs, *_, top = call(hidden, weight, targets, **options)
    logits = hidden @ weight.T * options.get("logit_scale", 1.0) / options.get("temperature", 1.0)
    expected = torch.log_softmax(logits, dim=-1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(log_probs, expected)
    assert torch.equal(top.bool(), logits.argmax(-1) == targets)
    gradients = [
        torch.autograd.grad(values.square().sum(), hidden)[0] for values in (log_probs, expected)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)


def test_no_targets_give_nothing_and_still_a_gradient(case):
    hidden, weight, targets = case
    log_probs = call(hidden[:0], weight, targets[:0])[0]
    assert log_probs.shape == (0,)
    log_probs.sum().backward()


def test_trl_still_calls_what_is_put_in_place():
    """A TRL that renamed the kernel, or its arguments, would train without it, or wrongly."""
    names = [
        list(inspect.signature(kernel.forward).parameters)
        for kernel in (trl_utils._ChunkedLogProbFunction, ChunkedLogProbFunction)
    ]
    assert trl_utils._ChunkedLogProbFunction is not ChunkedLogProbFunction
    assert len(names[0]) == len(names[1])
    assert names[0][1:7] == names[1][1:7]  # up to where TRL's names are longer
    assert "_ChunkedLogProbFunction.apply(" in inspect.getsource(trl_utils)
