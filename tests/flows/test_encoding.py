"""A stream whose encoding lacks our signs gets others."""

import io
import sys

import pytest

from flows.console import print_json, say
from flows.encoding import replace_unencodable, typed


@pytest.fixture
def printed(monkeypatch):
    """Returns what a function prints on a terminal of an encoding."""

    def run(encoding, *prints):
        written = io.BytesIO()
        stream = io.TextIOWrapper(written, encoding=encoding, write_through=True)
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, stream)
        replace_unencodable()
        for call in prints:
            call()
        return written.getvalue().decode(encoding)

    return run


@pytest.mark.parametrize("encoding", ["euc-kr", "cp949", "ascii", "latin-1"])
def test_signs_that_are_lacking_are_said_otherwise(printed, encoding):
    text = printed(encoding, lambda: say("✓ json ✗ regime 😀 \ud83d"))
    assert text == "o json x regime ? ?\n"


def test_korean_stays_where_it_can_be_printed(printed):
    assert printed("euc-kr", lambda: say("국면 − 약세")) == "국면 - 약세\n"


def test_half_a_character_is_a_question_mark(printed):
    assert printed("utf-8", lambda: say("✗ \ud83d 하락")) == "✗ ? 하락\n"
    text = printed("utf-8", lambda: print_json({"text": "\udcea ✗"}))
    assert text == '{\n "text": "? ✗"\n}\n'


def test_json_is_the_same_for_every_terminal(printed):
    text = printed("euc-kr", lambda: print_json({"mark": "✗"}))
    assert text == '{\n "mark": "\\u2717"\n}\n'


def test_what_is_typed_in_the_c_locale_is_utf_8():
    assert typed("국면은?".encode().decode("ascii", "surrogateescape")) == "국면은?"
    assert typed("국면은?") == "국면은?"
    assert typed("\udcff") == "\ufffd"
