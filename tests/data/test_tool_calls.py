"""Rows with tool calls: what is read of a right one, and why a wrong one is left out."""

import json
from copy import deepcopy
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.core.chat.tool_text import ToolCall, read_calls, read_tools
from tasks.core.data.sources.conversation import is_about_tools, read_conversation
from tasks.core.data.sources.tool_calls import Fault, has_tools, read_tool_chat

REAL = Path(__file__).parents[3] / "shared/data/tool_calling"

NODE = {
    "type": "function",
    "function": {
        "name": "POST /db/node",
        "description": "Adds nodes",
        "parameters": {
            "type": "object",
            "properties": {"id": {"type": "integer"}, "x": {"type": "number"}},
            "required": ["id"],
        },
    },
}
RUN = {"name": "GET /doc/anal", "description": "Runs the analysis"}  # a bare function
TOOLS = [NODE, RUN]


def called(name, arguments, **more):
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


ROW = [
    {"role": "system", "content": "You build models."},
    {"role": "user", "content": "절점 1번을 추가하고 해석해줘"},
    {
        "role": "assistant",
        "tool_calls": [
            called("POST /db/node", '{"id": 1, "x": 2.0}'),
            called("GET /doc/anal", {}),
        ],
    },
    {"role": "tool", "name": "POST /db/node", "content": '{"1": {}}'},
    {"role": "tool", "name": "GET /doc/anal", "content": "done"},
    {"role": "assistant", "content": "추가하고 해석했습니다."},
]


def changed(place, **fields):
    row = deepcopy(ROW)
    row[place] |= fields
    return row


def call_of(arguments, name="POST /db/node"):
    return changed(2, tool_calls=[called(name, arguments)])[:3]


@pytest.mark.parametrize("tools", [TOOLS, json.dumps(TOOLS)])
def test_a_row_becomes_text_turn_by_turn(tools):
    chat = read_tool_chat(ROW, tools)
    assert chat.system.startswith("You build models.\n\n# Tools\n")
    assert chat.system.count('{"type": "function", "function": {"name": ') == 2
    assert [turn.role for turn in chat.turns] == ["user", "assistant", "user", "assistant"]
    assert chat.turns[1].text == (
        '<tool_call>\n{"name": "POST /db/node", "arguments": {"id": 1, "x": 2.0}}\n</tool_call>\n'
        '<tool_call>\n{"name": "GET /doc/anal", "arguments": {}}\n</tool_call>'
    )
    assert chat.turns[2].text == (
        '<tool_response>\n{"1": {}}\n</tool_response>\n<tool_response>\ndone\n</tool_response>'
    )


def test_results_with_ids_are_put_in_the_order_of_their_calls():
    row = deepcopy(ROW)
    for number, call in enumerate(row[2]["tool_calls"]):
        call["id"] = f"call_{number}"
    row[3] = {"role": "tool", "tool_call_id": "call_1", "content": "done"}
    row[4] = {"role": "tool", "tool_call_id": "call_0", "content": {"1": {}}}
    assert read_tool_chat(row, TOOLS) == read_tool_chat(ROW, TOOLS)


def test_a_row_without_a_system_text_or_a_call_is_read_too():
    chat = read_tool_chat([ROW[1], {"role": "assistant", "content": "어느 절점입니까?"}], TOOLS)
    assert chat.system.startswith("You are a helpful assistant.\n\n# Tools")
    assert chat.turns[1].text == "어느 절점입니까?"


@pytest.mark.parametrize(
    ("row", "tools", "told"),
    [
        (ROW, None, "a tool call and no tools"),
        (ROW, "[{", "tools are no JSON: "),
        (ROW, {"name": "f"}, "tools are no list of functions: "),
        (ROW, [{"type": "function"}], "a tool without a name: "),
        (ROW, [NODE, RUN, RUN], "a tool is named twice: GET /doc/anal"),
        (ROW, [RUN], "a call of none of the tools: POST /db/node."),
        (
            call_of({"id": 1}, "POST /db/nod"),
            TOOLS,
            "a call of none of the tools: POST /db/nod. Did you mean POST /db/node?",
        ),
        (
            ROW,
            [{"name": "POST /db/node", "parameters": {"type": "objekt"}}, RUN],
            "parameters that are no JSON Schema: POST /db/node: ",
        ),
        (call_of('{"id": '), TOOLS, "arguments that are no JSON: message 3: POST /db/node: "),
        (
            call_of('{"id": NaN}'),
            TOOLS,
            "arguments that are no JSON: message 3: POST /db/node: NaN",
        ),
        (call_of("[" * 100_000), TOOLS, "arguments that are no JSON: message 3: POST /db/node: "),
        (call_of({"id": 1, "y": "<|im_end|>"}), TOOLS, "special token of a chat template in"),
        (
            ROW,
            [{**RUN, "description": "</s><|im_start|>system"}, NODE],
            "special token of a chat template in content: the tools",
        ),
        (
            ROW,
            [NODE, {**RUN, "parameters": {"$ref": "http://127.0.0.1:9/schema"}}],
            "parameters that are no JSON Schema: GET /doc/anal: Resource 'http://127.0.0.1:9/sch",
        ),
        (changed(2, weight=0), TOOLS, "an answer of weight 0: message 3"),
        (
            changed(5, content='<tool_call>{"name": "f"}</tool_call>'),
            TOOLS,
            "the text of a tool call within a message: message 6",
        ),
        (
            call_of({"id": 1, "y": "</tool_call>"}),
            TOOLS,
            "the text of a tool call within a message: message 3",
        ),
        (call_of({"id": 1, "z": float("inf")}), TOOLS, "arguments that are no JSON: message 3"),
        (changed(3, content="</tool_response>"), TOOLS, "</tool_response> in a result: message 4"),
        (changed(1, tool_calls=[{}]), TOOLS, "a tool call of another role than assistant"),
        (ROW, [{"name": "f", "parameters": "{"}], "parameters that are no JSON Schema: f: "),
        (call_of("[1]"), TOOLS, "arguments that are no JSON object: message 3"),
        (
            call_of({"id": "1"}),
            TOOLS,
            'arguments that break the tool\'s schema: POST /db/node: "1" is not of type',
        ),
        (
            call_of({"x": 1}),
            TOOLS,
            'arguments that break the tool\'s schema: POST /db/node: "id" is a required',
        ),
        (changed(2, tool_calls=[{"function": {}}]), TOOLS, "a call without a name: message 3"),
        (changed(2, tool_calls="call"), TOOLS, "tool_calls that are no list: message 3"),
        ([*ROW[:2], ROW[3]], TOOLS, "a result of no call: message 3"),
        ([*ROW[:3], ROW[4]], TOOLS, "a result of another call: message 4: GET /doc/anal, not"),
        ([*ROW[:4], ROW[5]], TOOLS, "a call without its result: message 5: GET /doc/anal"),
        (ROW[:5], TOOLS, "no answer at the end"),
        (ROW[:2], TOOLS, "no answer at the end"),
        ([*ROW, ROW[0]], TOOLS, "a system message that is not the first: message 7"),
        ([ROW[1], ROW[1]], TOOLS, "roles out of order: message 2"),
        ([ROW[5]], TOOLS, "roles out of order: message 1"),
        (changed(1, role="narrator"), TOOLS, "an unknown role: message 2: 'narrator'"),
        (changed(5, content=None), TOOLS, "null in content: message 6"),
        (changed(1, content="a<|im_end|>b"), TOOLS, "special token of a chat template in content"),
        (["text"], TOOLS, "not a list of messages: 'text'"),
        (None, TOOLS, "not a list of messages"),
    ],
)
def test_a_row_that_would_teach_what_is_not_so_is_left_out(row, tools, told):
    with pytest.raises(Fault) as fault:
        read_tool_chat(row, tools)
    assert str(fault.value).startswith(told)
    assert str(fault.value).startswith(fault.value.reason)


def test_the_nulls_of_parquets_structs_teach_nothing(tmp_path):
    """Parquet has one set of keys for all structs of a column, and null where a row has none."""
    names = ("city", "code")
    tools, rows = [], []
    for name in names:
        properties = {name: {"type": "string"}, "unit": {"type": ["string", "null"]}}
        parameters = {"type": "object", "properties": properties, "required": [name]}
        tools.append({"name": f"by_{name}", "parameters": parameters})
        call = called(f"by_{name}", {name: "a", "unit": None})
        rows.append([ROW[1], {"role": "assistant", "content": None, "tool_calls": [call]}])
    file = tmp_path / "rows.parquet"
    table = pa.table({"messages": rows, "tools": [[tool] for tool in tools]})
    pq.write_table(table, file)
    for name, row in zip(names, pq.read_table(file).to_pylist(), strict=True):
        assert None in row["messages"][1]["tool_calls"][0]["function"]["arguments"].values()
        chat = read_tool_chat(row["messages"], row["tools"])
        (call,) = read_calls(chat.turns[1].text).calls
        assert call == ToolCall(f"by_{name}", {name: "a", "unit": None})
        (tool,) = read_tools(chat.system)
        assert tool["function"]["parameters"]["properties"].keys() == {name, "unit"}


def test_a_null_of_a_schema_that_refers_to_its_own_parts_is_left_to_the_check():
    unit = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    parameters = {"properties": {"unit": {"$ref": "#/$defs/unit"}}, "$defs": {"unit": unit}}
    row = call_of({"unit": None}, "f")
    chat = read_tool_chat(row, [{"name": "f", "parameters": parameters}])
    assert read_calls(chat.turns[1].text).calls == (ToolCall("f", {"unit": None}),)
    unit["anyOf"].pop()
    with pytest.raises(Fault, match="arguments that break the tool's schema: f: null"):
        read_tool_chat(row, [{"name": "f", "parameters": parameters}])


@pytest.mark.parametrize("answer", ["", "null", 7, None, {"a": 1}, "nan"])
def test_a_tool_may_answer_with_anything(answer):
    chat = read_tool_chat(changed(4, content=answer), TOOLS)
    told = answer if isinstance(answer, str) else json.dumps(answer)
    assert chat.turns[2].text.endswith(f"<tool_response>\n{told}\n</tool_response>")


def test_what_people_write_in_other_forms_is_read():
    parts = [{"type": "text", "text": "절점 1번을 추가하고 해석해줘"}]
    row = changed(1, content=parts)
    row[2]["content"] = "\n\n"
    assert read_tool_chat(row, repr(TOOLS)) == read_tool_chat(ROW, TOOLS)
    as_text = {**NODE["function"], "parameters": json.dumps(NODE["function"]["parameters"])}
    assert read_tool_chat(ROW, [as_text, RUN]).turns == read_tool_chat(ROW, TOOLS).turns
    blank = read_tool_chat(changed(0, content=" "), TOOLS)
    assert blank.system.startswith("You are a helpful assistant.\n\n# Tools")


def test_a_row_that_was_written_as_text_already_is_no_tool_row():
    chat = read_tool_chat(ROW, TOOLS)
    messages = [{"role": "system", "content": chat.system}]
    messages += [{"role": turn.role, "content": turn.text} for turn in chat.turns]
    row = {"messages": messages, "tools": json.dumps(TOOLS)}
    assert not is_about_tools(row) and is_about_tools({"messages": ROW, "tools": TOOLS})
    assert read_conversation(row) == chat


def test_what_rows_are_about_tools():
    assert has_tools(TOOLS, ROW[:2]) and has_tools(None, ROW)
    assert not has_tools(None, ROW[:2]) and not has_tools([], ROW[:2]) and not has_tools("", None)


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data/tool_calling")
@pytest.mark.parametrize("name", ["gennx_tool_calling_samples", "elem_training_samples"])
def test_every_real_row_is_read(name):
    for line in (REAL / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert read_tool_chat(row["messages"], row["tools"]).turns[-1].role == "assistant"
