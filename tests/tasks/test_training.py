"""What a training process tells becomes progress, and what its libraries print does not disturb it."""

import json

import pytest

from tasks.training import _relay


@pytest.mark.parametrize("line", ["{'loss': 1.2}", '{"url": "a library\'s own JSON"}', "{", "3", "words"])
def test_a_line_that_is_no_telemetry_is_passed_over(line):
    _relay(line, lambda fraction, text: pytest.fail(text))


def test_telemetry_becomes_progress():
    told = {"step": 5, "steps": 20, "loss": 1.25, "tokens_per_s": 140.4, "memory_gib": 2.5, "eta_s": 30.2}
    heard = []
    _relay(json.dumps(told), lambda fraction, text: heard.append((fraction, text)))
    assert heard == [(0.25, "step 5/20, loss 1.250, 140 tokens/s, 2.5 GiB, 30 s left")]


def test_a_warning_is_logged(caplog):
    _relay(json.dumps({"step": 12, "warning": "The card is 91 °C hot."}), lambda *told: pytest.fail(str(told)))
    assert caplog.messages == ["step 12: The card is 91 °C hot."]
