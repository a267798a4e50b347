"""A terminal that lacks our signs gets others, and no text of a stranger steers it."""

import io
import sys

import pytest

from flows.console import print_json, say
from flows.terminal import say_otherwise, typed
from tasks.core.scripts import visible


@pytest.fixture
def terminal(monkeypatch, request):
    """A standard output and error of the encoding that the test names."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=request.param, write_through=True)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, stream)
    say_otherwise()
    return lambda: written.getvalue().decode(request.param)


@pytest.mark.parametrize("terminal", ["euc-kr", "cp949", "ascii", "latin-1"], indirect=True)
def test_signs_that_are_lacking_are_said_otherwise(terminal):
    say("✓ json ✗ regime 😀 \ud83d")
    assert terminal() == "o json x regime ? ?\n"


@pytest.mark.parametrize("terminal", ["euc-kr"], indirect=True)
def test_korean_stays_where_it_can_be_printed(terminal):
    say("국면 − 약세")
    assert terminal() == "국면 - 약세\n"


@pytest.mark.parametrize("terminal", ["utf-8"], indirect=True)
def test_half_a_character_is_a_question_mark(terminal):
    say("✗ \ud83d 하락")
    print_json({"text": "\udcea ✗"})
    assert terminal() == '✗ ? 하락\n{\n "text": "? ✗"\n}\n'


@pytest.mark.parametrize("terminal", ["euc-kr"], indirect=True)
def test_json_is_the_same_for_every_terminal(terminal):
    print_json({"mark": "✗"})
    assert terminal() == '{\n "mark": "\\u2717"\n}\n'


def test_what_is_typed_in_the_c_locale_is_utf_8():
    assert typed("국면은?".encode().decode("ascii", "surrogateescape")) == "국면은?"
    assert typed("국면은?") == "국면은?"
    assert typed("\udcff") == "\ufffd"


def test_what_a_terminal_would_obey_is_shown(capsys):
    text = "\x1b[2Jgone\r\x07 \x9b31m\u202etxt"
    assert visible(text) == r"\x1b[2Jgone\r\x07 \x9b31m\u202etxt"
    assert visible("두 줄\n\t{}") == "두 줄\n\t{}"
    say(text)
    assert "\x1b" not in capsys.readouterr().err
