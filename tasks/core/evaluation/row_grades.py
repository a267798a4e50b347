"""How right a reply to a row's question is: its tool calls against the row's own, or its text
against the row's text.

Reads the tools from the question's system text, as the model does.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tasks.core.chat.tool_schemas import NoSchema, argument_schema
from tasks.core.chat.tool_text import CallsRead, Tool, ToolCall, read_calls, read_tools
from tasks.core.evaluation.records import Question
from tasks.core.kinds.base import Grade
from tasks.core.rouge import rouge_l
from tasks.core.scripts import HANGUL, HANJA

TOOL_NAMES = "tool_name_accuracy"
PARAMETERS = "parameter_accuracy"
VALID_CALLS = "json_validity_rate"
INVENTED = "hallucination_rate"
CALLED_RIGHTLY = "calls where a call is due"
ROUGE = "ROUGE-L F1 of texts (Hangul by syllable)"
EXACT = "texts that are the row's own"
"""What is reported of replies to rows, beside the grade; all are 0 to 1, and of INVENTED less is
better.
"""


def grade_row(question: Question, text: str) -> Grade:
    """Grades a reply. If the row calls tools, the grade is the mean of its parts: the tools that
    are called, each argument's value, and calls that can be read. Else it is the ROUGE-L F1 of the
    text, of which Hangul, Latin letters and digits count; a call in place of a text is worth
    nothing. A reply is fully right if all its parts are.
    """
    due, told = read_calls(question.reference), read_calls(text)
    if not due.calls:
        called = bool(told.calls or told.broken)
        same = not called and _spaced(due.text) == _spaced(told.text)
        score = 0.0 if called else rouge_l(due.text, told.text)
        return Grade(1.0 if same else score, {"no call": not called, "the row's own": same})
    names = _tools_of(told) == _tools_of(due)
    parameters = parameter_share(due.calls, told.calls)
    readable = bool(told.calls) and not told.broken
    parts = {"json": readable, "tools": names, "arguments": parameters == 1}
    return Grade((readable + names + parameters) / 3, parts)


def mark_row(question: Question, text: str) -> dict[str, float | None]:
    """Returns what is measured of a reply to a row; None if the row does not ask for it."""
    due, told = read_calls(question.reference), read_calls(text)
    grade = grade_row(question, text)
    tools = read_tools(question.messages[0]["content"])
    calls = bool(due.calls)
    marks: dict[str, float | None] = {
        "fully_right": float(all(grade.parts.values())),
        "schema_valid": float(_obeys(told, tools, calls)),
        "korean_rationale": None if calls else _is_korean(question, told),
        "grade": grade.score,
    }
    if calls:
        marks[TOOL_NAMES] = float(grade.parts["tools"])
        marks[PARAMETERS] = parameter_share(due.calls, told.calls)
        marks[VALID_CALLS] = float(grade.parts["json"])
    else:
        marks[ROUGE] = rouge_l(due.text, told.text)
        marks[EXACT] = float(grade.parts["the row's own"])
    if tools:
        names = {tool["function"]["name"] for tool in tools}
        marks[INVENTED] = float(any(call.name not in names for call in told.calls))
        marks[CALLED_RIGHTLY] = float(calls == bool(told.calls or told.broken))
    return marks


def _tools_of(message: CallsRead) -> Counter[str]:
    """How often each tool is called; calls of one message are made side by side, in no order."""
    return Counter(call.name for call in message.calls)


def parameter_share(due: Sequence[ToolCall], told: Sequence[ToolCall]) -> float:
    """Returns the share of all arguments, of both sides together, that are the same in both.

    An argument is a value at the end of a path of keys; lists are compared place by place, and 1 is
    1.0. A call without arguments counts as one argument. The first call of a tool is compared with
    the first one of the same tool, the second with the second.
    """
    expected, given = _paths(due), _paths(told)
    same = sum((expected & given).values())
    either = sum((expected | given).values())
    return same / either


def _paths(calls: Sequence[ToolCall]) -> Counter[tuple[Any, ...]]:
    """Every argument of the calls, with the tool and which of its calls it is before its path."""
    paths: Counter[tuple[Any, ...]] = Counter()
    earlier: Counter[str] = Counter()
    for call in calls:
        for path in _leaves(call.arguments):
            paths[call.name, earlier[call.name], *path] += 1
        earlier[call.name] += 1
    return paths


def _leaves(value: Any) -> Iterator[tuple[Any, ...]]:
    """Yields each value with the keys that lead to it; its type tells true from 1, and 1 from "1".
    An empty object or list is a value too.
    """
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            for path in _leaves(inner):
                yield (key, *path)
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            for path in _leaves(inner):
                yield (place, *path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield ("number", value)  # 1 and 1.0 are equal, and so are their hashes
    else:
        yield (type(value).__name__, str(value))


def _obeys(told: CallsRead, tools: Sequence[Any], due: bool) -> bool:
    """Whether each call can be read and is of a tool, with arguments that its schema allows; of a
    text, whether there is any.
    """
    if told.broken or (due and not told.calls):
        return False
    if not told.calls:
        return bool(told.text)
    by_name = {tool["function"]["name"]: tool for tool in tools}
    for call in told.calls:
        tool = by_name.get(call.name)
        if tool is None or not _fits(call, tool):
            return False
    return True


def _fits(call: ToolCall, tool: Tool) -> bool:
    """Whether a tool's schema allows the arguments; a plain row's may be no schema at all."""
    try:
        return argument_schema(tool).is_valid(call.arguments)
    except NoSchema:
        return True


def _is_korean(question: Question, told: CallsRead) -> float | None:
    """Whether a text that is due in Korean is Korean, without Hanja; None if it is due in another
    language.
    """
    if question.language != "ko":
        return None
    return float(bool(HANGUL.search(told.text)) and not HANJA.search(told.text))


def _spaced(text: str) -> str:
    return " ".join(text.split())
