"""A conversation is rendered as transformers renders it, for serving and for counting tokens."""

import json

import pytest

from tasks.core.chat.template import ChatTemplate
from tasks.core.data.reports.tokens import TokenCounter
from tasks.core.errors import RequestError
from tests.chat.tokenizer import CHATML, chat_tokenizer

INTRICATE = """\
{%- if tools %}TOOLS{% endif %}
{{- bos_token }}{% if pad_token is defined %}PAD{% endif %}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- generation %}[A]{{ message.content | trim }}{{ eos_token }}{% endgeneration %}
    {%- elif message.role == 'stop' %}
        {%- break %}
    {%- else %}
[{{ message.role }}]{{ message | tojson(sort_keys=true, indent=1) }}
    {%- endif %}
{% endfor %}
{%- if add_generation_prompt %}[A]{% endif %}
"""
MESSAGES = [
    {"role": "system", "content": "코스피 <b>&</b> 'x'"},
    {"role": "user", "content": '{"a": 1}\n'},
    {"role": "assistant", "content": " yes "},
    {"role": "stop", "content": "unseen"},
]


@pytest.mark.parametrize("add_generation_prompt", [True, False])
@pytest.mark.parametrize("template", [CHATML, INTRICATE])
def test_rendered_as_transformers_does(tmp_path, template, add_generation_prompt):
    folder, tokenizer = chat_tokenizer(tmp_path, template)
    expected = tokenizer.apply_chat_template(
        MESSAGES, tokenize=False, add_generation_prompt=add_generation_prompt
    )
    assert ChatTemplate(folder).render(MESSAGES, add_generation_prompt) == expected


@pytest.mark.parametrize("template", [CHATML, INTRICATE])
def test_tokens_are_counted_of_the_text_that_is_served(tmp_path, template):
    folder, tokenizer = chat_tokenizer(tmp_path, template)
    text = ChatTemplate(folder).render(MESSAGES, add_generation_prompt=False)
    expected = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    assert TokenCounter(folder).count([MESSAGES]) == [expected]


def write_config(folder, **config):
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def test_a_template_in_the_tokenizers_configuration_counts_too(tmp_path):
    named = [
        {"name": "tool_use", "template": "no"},
        {"name": "default", "template": "yes {{ eos_token }}"},
    ]
    eos = {"content": "<e>"}
    write_config(tmp_path, chat_template=named, eos_token=eos, bos_token=None, add_bos_token=True)
    template = ChatTemplate(tmp_path)
    assert template.render(MESSAGES, add_generation_prompt=True) == "yes <e>"
    assert template.bos_token == ""


def test_a_folder_without_a_usable_template_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"has no tokenizer_config\.json"):
        ChatTemplate(tmp_path)
    for config in ({}, {"chat_template": [{"name": "tool_use", "template": "no"}]}):
        with pytest.raises(RequestError, match=r"has no chat template .*folder of a chat model"):
            ChatTemplate(write_config(tmp_path, **config))
    with pytest.raises(RequestError, match="The chat template of .* is not Jinja: .*endfor"):
        ChatTemplate(write_config(tmp_path, chat_template="{% for a in b %}"))


@pytest.mark.parametrize("refusal", ["{{ raise_exception('no system') }}", "{{ 1 + 'a' }}"])
def test_a_conversation_that_the_template_refuses_is_shown(tmp_path, refusal):
    template = ChatTemplate(write_config(tmp_path, chat_template=refusal))
    with pytest.raises(RequestError, match="does not render .*system.* …: (no system|unsupported)"):
        template.render(MESSAGES, add_generation_prompt=True)
