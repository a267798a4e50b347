"""A chat template that never ends, or fills the memory, is stopped within seconds; the next one is
rendered as if nothing had been.
"""

import os
import threading

import pytest

from tasks.core.chat.rendering import TemplateRefused, _Renderer, refuse_no_jinja, render

_LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
_DOUBLES = (
    "{% set n = namespace(s='xxxxxxxxxx') %}{% for a in range(40) %}{% set n.s = n.s ~ n.s %}"
    "{% endfor %}{{ n.s }}"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "told"),
    [
        (_LOOPS, "more than 5 s"),
        ("{{ 'x' * 10000000000 }}", "more than 1 GB"),
        (_DOUBLES, "more than 1 GB|characters"),
        ("{{ messages[0] * 10000000000 }}", "more than 1 GB"),
        ("{{ 'x'.ljust(60000000) }}", "60,000,000 characters"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without an end"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ ''.__class__.__mro__ }}", "unsafe|undefined"),
        ("{{ raise_exception('no') }}", "^no$"),
    ],
)
def test_a_template_that_takes_too_much_is_stopped(source, told):
    with pytest.raises(TemplateRefused, match=told):
        render(source, {"messages": ["x"]})
    assert render("{{ messages[0] }}\ud800", {"messages": ["코스피"]}) == "코스피\ud800"


def test_what_is_no_jinja_is_refused():
    refuse_no_jinja("{{ messages }}")
    with pytest.raises(TemplateRefused, match="unexpected end of template"):
        refuse_no_jinja("{{ messages")


def test_closing_does_not_wait_for_a_fork_that_holds_the_pipe():
    renderer = _Renderer()
    assert renderer.ask("{{ n }}", {"n": 1}) == "1"
    held = os.dup(renderer._process.stdin.fileno())
    thread = threading.Thread(target=renderer.close)
    thread.start()
    thread.join(10)
    has_ended = not thread.is_alive()
    os.close(held)
    thread.join()
    assert has_ended


def test_threads_get_their_own_answers():
    answers = {}

    def ask(number):
        for _ in range(20):
            answers[number] = render("{{ n }}", {"n": number})

    threads = [threading.Thread(target=ask, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: str(number) for number in range(4)}
