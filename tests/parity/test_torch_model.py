"""Where a model is computed: on a GPU that holds it in float32, else on the CPU."""

import pytest
import torch

from tasks.core.parity.torch_model import _device_for

GIB = 1 << 30


@pytest.mark.parametrize(("gib", "device"), [(8, "cpu"), (24, "cpu"), (40, "cuda")])
def test_a_7b_is_computed_on_a_card_that_holds_30_gb(monkeypatch, gib, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (gib * GIB, gib * GIB))
    with torch.device("meta"):
        model = torch.nn.Linear(100_000, 76_160, bias=False)
    assert _device_for(model) == device


def test_without_a_gpu_it_is_computed_on_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert _device_for(torch.nn.Linear(1, 1)) == "cpu"
