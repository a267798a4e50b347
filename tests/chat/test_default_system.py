"""The system prompt that a template itself puts is found, and none where it puts none."""

import pytest

from tasks.core.chat.default_system import default_system
from tasks.core.chat.template import ChatTemplate
from tests.chat.tokenizer import CHATML, chat_tokenizer
from tests.tiny import CHATML as WITH_DEFAULT

AROUND = (
    "<s>[SYS]{{ messages[0].content if messages[0].role == 'system' else '한국어 <b>로' }}[/SYS]"
    "{{ messages[-1].content }}"
)
REFUSING = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    "{{ m.content }}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (WITH_DEFAULT, "You are a tiny model."),
        (AROUND, "한국어 <b>로"),
        (CHATML, ""),
        (REFUSING, ""),
    ],
)
def test_it_is_what_stands_where_a_given_one_would(tmp_path, template, found):
    folder, _ = chat_tokenizer(tmp_path, template)
    assert default_system(ChatTemplate(folder)) == found
