"""The kernel that a GPU runs, by Triton's interpreter on a CPU."""

import os
import subprocess
import sys

import pytest

GPU_KERNEL = """
import torch
from tasks.core.training.engine import elementwise, gpu_kernel

for dtype, apart in ((torch.bfloat16, 2**-7), (torch.float32, 1e-5)):
    both, gradient = torch.randn(3, 2 * 1300).to(dtype), torch.randn(3, 1300).to(dtype)
    found = gpu_kernel.swiglu_again(both, gradient.clone())
    wanted = elementwise.swiglu_again(both, gradient.clone())
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        gap = (one - other).abs().max()
        assert torch.allclose(one.float(), other.float(), rtol=apart, atol=1e-6), gap
"""


@pytest.mark.slow
def test_the_gpu_kernel_computes_what_plain_pytorch_does():
    """On rows wider than a block, and not a multiple of it."""
    pytest.importorskip("triton", reason="Triton is there on Linux only")
    hidden = {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(
        [sys.executable, "-c", GPU_KERNEL], check=True, env=os.environ | hidden, timeout=120
    )
