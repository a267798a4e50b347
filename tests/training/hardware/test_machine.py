"""What a machine computes in, and how much of a card's memory is taken."""

import pytest
import torch

from tasks.core.training.hardware.machine import Machine, find_machine, memory_cap


def test_no_more_is_planned_with_than_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (6 * 2**30, 24 * 2**30))
    card = Machine("cuda", torch.bfloat16, "a card that others use too")
    assert [memory_cap(wanted, card) for wanted in (12, 4, 0)] == [5.5, 4, 5.5]


def test_a_card_that_emulates_bf16_computes_in_fp16(monkeypatch):
    turing = type("Turing", (), {"major": 7, "name": "T4", "total_memory": 2**34})()
    for name, value in {
        "is_available": True,
        "current_device": 0,
        "_check_bf16_tensor_supported": True,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *given, value=value: value)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: turing)
    assert find_machine().compute == torch.float16


@pytest.mark.parametrize(
    ("there", "compute"),
    [
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({}, torch.float32),
    ],
)
def test_a_cpu_that_emulates_bf16_computes_in_float32(monkeypatch, there, compute):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True} | there)
    assert find_machine().compute == compute
