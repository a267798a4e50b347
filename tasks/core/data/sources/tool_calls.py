"""Conversations in which tools are called, read into plain turns; and what is wrong with one.

A row has `messages` as OpenAI and TRL have them, with `tool_calls` of assistants and messages of
the role `tool`, and `tools`, a list or its JSON text. Ids are not needed: without them results
stand in the order of the calls. chat/tool_text.py says how the conversation is written.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from tasks.core.chat.tool_schemas import NoSchema, argument_schema, validator_of
from tasks.core.chat.tool_text import (
    NO_SYSTEM,
    CallsRead,
    Tool,
    ToolCall,
    read_calls,
    refuse_constant,
    with_tools,
    write_calls,
    write_results,
)
from tasks.core.data.chat import Chat, Turn, find_fault, is_blank
from tasks.core.data.sources.messages import parsed, text_of
from tasks.core.errors import did_you_mean

_MAY_BE_NULL = ("default", "const")  # keys of a JSON Schema
_RESULT_END = "</tool_response>"
_LONGEST = 120  # characters of a schema's complaint


class Fault(Exception):
    """Why a row is left out: a reason that many rows can share, and what it is in this one."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def read_tool_chat(messages: Any, tools: Any) -> Chat:
    """Returns the conversation, its tools behind the system text, calls and results as text.

    Raises Fault if anything in it would teach what is not so: a tool named twice, a call of none of
    the tools, arguments that break its schema, a result of no call, roles out of order, no text.
    """
    toolbox = Toolbox.read(tools)
    reader = _Reader(toolbox)
    for number, message in enumerate(_list_of_messages(messages), 1):
        reader.take(message, number)
    return reader.chat()


@dataclass(frozen=True)
class Toolbox:
    """The tools of a conversation, by their names, and the schemas of their arguments."""

    tools: tuple[Tool, ...]
    schemas: Mapping[str, jsonschema_rs.Validator]

    @classmethod
    def read(cls, tools: Any) -> "Toolbox":
        """Returns the tools of a list, or of its text. Raises Fault if they are none."""
        if tools is None:
            raise Fault("a tool call and no tools")
        listed = parsed(tools)
        if listed is None:
            raise Fault("tools are no JSON", f"{tools!r:.60}")
        if not isinstance(listed, list) or not listed:
            raise Fault("tools are no list of functions", f"{tools!r:.60}")
        read = tuple(_tool(tool) for tool in listed)
        schemas = {}
        for tool in read:
            name = tool["function"]["name"]
            if name in schemas:
                raise Fault("a tool is named twice", name)
            schemas[name] = _schema_of(tool)
        return cls(read, schemas)

    def without_fillers(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments without the nulls that parquet puts where another call has a key and this
        one none: those that the tool's schema does not name, or does not allow.
        """
        schemas = (tool["function"].get("parameters") for tool in self.tools if _name(tool) == name)
        return _allowed(arguments, next(schemas, None))

    def check(self, call: ToolCall) -> None:
        """Raises Fault if there is no such tool, or if the arguments are not what it takes."""
        schema = self.schemas.get(call.name)
        if schema is None:
            near = did_you_mean(call.name, self.schemas)
            raise Fault("a call of none of the tools", f"{call.name}.{near}")
        broken = next(schema.iter_errors(call.arguments), None)
        if broken is not None:
            told = f"{call.name}: {broken.message}"
            raise Fault("arguments that break the tool's schema", told[:_LONGEST])


def _name(tool: Tool) -> str:
    return str(tool["function"]["name"])


def _allowed(arguments: dict[str, Any], schema: Any) -> dict[str, Any]:
    named = schema.get("properties") if isinstance(schema, dict) else None
    kept = {}
    for key, value in arguments.items():
        own = named.get(key) if isinstance(named, dict) else None
        if isinstance(value, dict):
            kept[key] = _allowed(value, own)
        elif value is not None or _takes_null(own):
            kept[key] = value
    return kept


def _takes_null(schema: Any) -> bool:
    """Whether a part of a tool's schema allows null, as far as it can be told from the part alone:
    one that refers to another part is left to the check against the whole.
    """
    if not isinstance(schema, dict):
        return False
    try:
        return validator_of(schema).is_valid(None)
    except NoSchema:
        return True


def _tool(tool: Any) -> Tool:
    """A function as OpenAI's API has it; a bare one is put into its frame."""
    if isinstance(tool, dict) and "function" not in tool and "name" in tool:
        tool = {"type": "function", "function": tool}
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict):
        raise Fault("a tool without a name", f"{tool!r:.60}")
    name = function.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Fault("a tool without a name", f"{tool!r:.60}")
    parameters = function.get("parameters")
    if isinstance(parameters, str):
        parameters = _from_json(parameters, "parameters that are no JSON Schema", f"{name}: ")
    described = _without_fillers({**function, "parameters": parameters})
    return {**tool, "type": "function", "function": described}


def _without_fillers(value: Any) -> Any:
    """A tool without the nulls that parquet puts where another tool has a key and this one none."""
    if isinstance(value, list):
        return [_without_fillers(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, entry in value.items():
        if entry is not None or key in _MAY_BE_NULL:
            kept[key] = _without_fillers(entry)
    return kept


def _schema_of(tool: Tool) -> jsonschema_rs.Validator:
    try:
        return argument_schema(tool)
    except NoSchema as why:
        told = f"{tool['function']['name']}: {why}"
        raise Fault("parameters that are no JSON Schema", told[:_LONGEST]) from why


def _list_of_messages(messages: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(messages, list) or not messages:
        raise Fault("not a list of messages")
    for message in messages:
        if not isinstance(message, dict):
            raise Fault("not a list of messages", f"{message!r:.60}")
        yield message


@dataclass
class _Made:
    """A call of the last answer, and what its tool answered once that is read."""

    name: str
    id: str | None
    result: str | None = None


@dataclass
class _Reader:
    """A conversation on its way from messages to turns."""

    toolbox: Toolbox
    system: str | None = None
    turns: list[Turn] = field(default_factory=list)
    made: list[_Made] = field(default_factory=list)

    def take(self, message: Mapping[str, Any], number: int) -> None:
        """Reads one message. Raises Fault if it may not stand here."""
        role = message.get("role")
        where = f"message {number}"
        if role == "tool":
            self._take_result(message, where)
            return
        self._close_results(where)
        if message.get("tool_calls") and role != "assistant":
            raise Fault("a tool call of another role than assistant", where)
        if role in ("system", "developer"):
            if number > 1:
                raise Fault("a system message that is not the first", where)
            if not is_blank(message.get("content")):
                self.system = _text(message, where)
        elif role == "user":
            self._expect("assistant", where)
            self.turns.append(Turn("user", _text(message, where)))
        elif role == "assistant":
            self._expect("user", where)
            self._take_answer(message, where)
        else:
            raise Fault("an unknown role", f"{where}: {role!r:.40}")

    def chat(self) -> Chat:
        """The whole conversation. Raises Fault if it ends without an answer."""
        if not self.turns or self.turns[-1].role != "assistant" or self._results():
            raise Fault("no answer at the end")
        system = with_tools(self.system or NO_SYSTEM, self.toolbox.tools)
        _refuse_fault(system, "the tools")
        return Chat(system, tuple(self.turns))

    def _take_answer(self, message: Mapping[str, Any], where: str) -> None:
        told = message.get("tool_calls") or []
        if not isinstance(told, list):
            raise Fault("tool_calls that are no list", where)
        if message.get("weight") == 0:
            raise Fault("an answer of weight 0", where)  # every answer of a row is trained
        calls = tuple(self._call(one, where) for one in told)
        text = "" if calls and is_blank(message.get("content")) else _text(message, where)
        written = _written(text, calls, where)
        _refuse_fault(written, f"{where}: its calls")  # their arguments come from outside too
        if read_calls(written) != CallsRead(calls, 0, text):
            raise Fault("the text of a tool call within a message", where)
        self.turns.append(Turn("assistant", written))
        ids = [one.get("id") for one in told]
        self.made = [_Made(call.name, id_) for call, id_ in zip(calls, ids, strict=True)]

    def _call(self, told: Any, where: str) -> ToolCall:
        function = told.get("function") if isinstance(told, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise Fault("a call without a name", where)
        name = function["name"]
        given = function.get("arguments")
        arguments = _arguments(given, f"{where}: {name}")
        if not isinstance(given, str):
            arguments = self.toolbox.without_fillers(name, arguments)
        call = ToolCall(name, arguments)
        self.toolbox.check(call)
        return call

    def _take_result(self, message: Mapping[str, Any], where: str) -> None:
        made = self._answered_by(message, where)
        name = message.get("name")
        if name not in (None, made.name):
            raise Fault("a result of another call", f"{where}: {name}, not {made.name}")
        made.result = _result(message, where)

    def _answered_by(self, message: Mapping[str, Any], where: str) -> _Made:
        """The call that a result belongs to: the one of its id, else the first that waits."""
        waiting = [made for made in self.made if made.result is None]
        named = [made for made in waiting if made.id and made.id == message.get("tool_call_id")]
        if not waiting:
            raise Fault("a result of no call", where)
        return (named or waiting)[0]

    def _results(self) -> list[str]:
        return [made.result for made in self.made if made.result is not None]

    def _close_results(self, where: str) -> None:
        """Makes the user's turn of the results, in the order of their calls; all must be there."""
        missing = [made.name for made in self.made if made.result is None]
        if missing:
            raise Fault("a call without its result", f"{where}: {missing[0]}")
        if self.made:
            self.turns.append(Turn("user", write_results(self._results())))
            self.made = []

    def _expect(self, earlier: str, where: str) -> None:
        before = self.turns[-1].role if self.turns else "assistant"
        if before != earlier:
            raise Fault("roles out of order", where)


def _written(text: str, calls: tuple[ToolCall, ...], where: str) -> str:
    try:
        return write_calls(text, calls)
    except ValueError as error:
        raise Fault("arguments that are no JSON", f"{where}: {error}") from error


def _arguments(told: Any, where: str) -> dict[str, Any]:
    """The arguments, which OpenAI's API writes as JSON text."""
    if isinstance(told, str):
        told = _from_json(told or "{}", "arguments that are no JSON", f"{where}: ")
    if told is None:
        return {}
    if not isinstance(told, dict):
        raise Fault("arguments that are no JSON object", where)
    return told


def _from_json(text: str, fault: str, where: str = "") -> Any:
    """The value of a JSON text; NaN and infinities, which Python reads and writes, are none."""
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Fault(fault, f"{where}{error}") from error


def _text(message: Mapping[str, Any], where: str) -> str:
    text = text_of(message.get("content"))
    _refuse_fault(text, where)
    return str(text).strip()


def _result(message: Mapping[str, Any], where: str) -> str:
    """What a tool answered: any text, also none, and any other value as JSON."""
    told = message.get("content")
    text = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
    fault = find_fault(f"> {text}")  # a tool may well answer with nothing, or with null
    if fault or _RESULT_END in text:
        raise Fault(f"{fault or _RESULT_END} in a result", where)
    return text.strip()


def _refuse_fault(text: Any, where: str) -> None:
    fault = find_fault(text)
    if fault:
        raise Fault(f"{fault} in content", where)


def has_tools(tools: Any, messages: Any) -> bool:
    """Whether a row is about tools: it offers some, or somebody calls one."""
    if tools not in (None, "", [], "[]"):
        return True
    if not isinstance(messages, list):
        return False
    return any(isinstance(message, dict) and message.get("tool_calls") for message in messages)
