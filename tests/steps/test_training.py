"""What a training process tells becomes progress and log, and what its libraries print does not
disturb it.
"""

import json
import logging

import pytest

from tasks.core.steps._training import relay


@pytest.mark.parametrize(
    "line", ["{'loss': 1.2}", '{"url": "a library\'s own JSON"}', "{", "3", "words"]
)
def test_a_line_that_is_no_telemetry_is_passed_over(line):
    relay(line, lambda fraction, text: pytest.fail(text))


@pytest.mark.parametrize(
    ("seconds", "left"),
    [
        (30.2, "30 s left"),
        (599, "599 s left"),
        (720, "12 min left"),
        (12_300, "3 h 25 min left"),
        (7199.9, "2 h 00 min left"),
    ],
)
def test_telemetry_becomes_progress(seconds, left):
    told = {
        "step": 5,
        "steps": 20,
        "loss": 1.25,
        "tokens_per_s": 140.4,
        "memory_gib": 2.5,
        "eta_s": seconds,
    }
    heard = []
    relay(json.dumps(told), lambda fraction, text: heard.append((fraction, text)))
    assert heard == [(0.25, f"step 5/20, loss 1.250, 140 tokens/s, 2.5 GiB, {left}")]


def test_the_childs_log_is_passed_on_and_its_libraries_is_not(caplog):
    caplog.set_level(logging.INFO)
    relay(
        "INFO:tasks.core.training.checks.report:  yes  dpo loss  0.693147 nats",
        lambda *told: pytest.fail(str(told)),
    )
    relay(
        "WARNING:tasks.core.training.watch.checkpoints:checkpoint-7 is not used",
        lambda *told: pytest.fail(str(told)),
    )
    relay("WARNING:bitsandbytes.cextension:No GPU", lambda *told: pytest.fail(str(told)))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "  yes  dpo loss  0.693147 nats"),
        ("WARNING", "checkpoint-7 is not used"),
    ]
