"""What a model reads of its tools and writes to call one, there and back."""

import json

import pytest

from tasks.core.chat.families import PROBE_TOOLS
from tasks.core.chat.template import ChatTemplate
from tasks.core.chat.tool_text import (
    ToolCall,
    read_calls,
    read_tools,
    with_tools,
    write_calls,
    write_results,
)
from tests.serving.shapes import qwen_base

PRICE = ToolCall("price", {"code": "005930", "market": "KOSPI", "days": [1, 2.5], "더": None})


def test_a_conversation_is_what_qwens_own_template_writes_of_it(tmp_path):
    folder = qwen_base(tmp_path / "qwen")
    if folder is None:
        pytest.skip("needs npm's package of Qwen2.5's tokenizer")
    template = ChatTemplate(folder)
    calls = (PRICE, ToolCall("today", {}))
    told = [{"function": {"name": call.name, "arguments": call.arguments}} for call in calls]
    of_api = [
        {"role": "system", "content": "너는 분석가."},
        {"role": "user", "content": "삼성전자는?"},
        {"role": "assistant", "content": "봅니다.", "tool_calls": told},
        {"role": "tool", "content": "71,000"},
        {"role": "tool", "content": '{"day": 1}'},
        {"role": "assistant", "content": "", "tool_calls": told[:1]},
        {"role": "tool", "content": "71,100"},
    ]
    as_text = [
        {"role": "system", "content": with_tools("너는 분석가.", PROBE_TOOLS)},
        of_api[1],
        {"role": "assistant", "content": write_calls("봅니다.", calls)},
        {"role": "user", "content": write_results(["71,000", '{"day": 1}'])},
        {"role": "assistant", "content": write_calls("", calls[:1])},
        {"role": "user", "content": write_results(["71,100"])},
    ]
    expected = template.render(of_api, True, PROBE_TOOLS)
    assert template.render(as_text, True) == expected


def test_tools_are_read_as_they_were_written():
    assert read_tools(with_tools("너는 분석가.", PROBE_TOOLS)) == list(PROBE_TOOLS)
    assert read_tools("너는 분석가.") == []
    odd = {"name": "f", "description": "a\u2028b\x85c"}
    tools = [{"type": "function", "function": odd}]
    own = "Use these.\n\n# Tools\n\n<tools>\nnone\n</tools>"
    assert read_tools(with_tools(own, tools)) == tools
    assert read_tools(own) == read_tools(with_tools("S", [odd])) == []


@pytest.mark.parametrize("text", ["", "먼저 시세를 봅니다."])
def test_calls_are_read_as_they_were_written(text):
    calls = (PRICE, ToolCall("today", {}))
    read = read_calls(write_calls(text, calls))
    assert (read.calls, read.broken, read.text) == (calls, 0, text)
    assert write_calls("", [PRICE]) == (
        '<tool_call>\n{"name": "price", "arguments": {"code": "005930", "market": "KOSPI",'
        ' "days": [1, 2.5], "더": null}}\n</tool_call>'
    )


@pytest.mark.parametrize(
    "told",
    [
        '<tool_call>\n{"name": "price", "arguments": {"code": ',  # cut at the token limit
        "<tool_call>\nprice(005930)\n</tool_call>",
        '<tool_call>\n{"arguments": {}}\n</tool_call>',
        '<tool_call>\n{"name": "price", "arguments": "005930"}\n</tool_call>',
        "<tool_call>[1]</tool_call>",
        "<tool_call>" + "[" * 100_000 + "</tool_call>",
    ],
)
def test_a_call_that_no_program_could_read_is_broken(told):
    read = read_calls(told)
    assert (read.calls, read.broken) == ((), 1)


def test_results_stand_one_below_the_other():
    assert (
        write_results(["1", '{"a": 2}'])
        == ("<tool_response>\n1\n</tool_response>\n<tool_response>\n" + json.dumps({"a": 2}))
        + "\n</tool_response>"
    )
