"""The prompt is rendered as transformers renders it, and only ChatML is served."""

import json

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from tasks.core.errors import RequestError
from tasks.core.serving.chat_template import bos_token, render_training_prompt
from tasks.core.serving.modelfile import build_modelfile
from tasks.core.settings.tree import Release

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INTRICATE = """\
{%- if tools %}TOOLS{% endif %}
{{- bos_token }}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- generation %}[A]{{ message.content | trim }}{{ eos_token }}{% endgeneration %}
    {%- elif message.role == 'stop' %}
        {%- break %}
    {%- else %}
[{{ message.role }}]{{ message | tojson }}
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


def tokenizer_dir(folder, template):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"x": 0}, "x")),
        bos_token="<s>",
        eos_token="<|im_end|>",
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder, tokenizer


@pytest.mark.parametrize("template", [CHATML, INTRICATE])
def test_rendered_as_transformers_does(tmp_path, template):
    folder, tokenizer = tokenizer_dir(tmp_path, template)
    expected = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert render_training_prompt(folder, MESSAGES) == expected


def test_a_template_in_the_tokenizers_configuration_counts_too(tmp_path):
    named = [
        {"name": "tool_use", "template": "no"},
        {"name": "default", "template": "yes {{ eos_token }}"},
    ]
    config = {"chat_template": named, "eos_token": {"content": "<e>"}, "bos_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert render_training_prompt(tmp_path, MESSAGES) == "yes <e>"
    assert bos_token(tmp_path) == ""


def test_every_parameter_is_named(tmp_path):
    folder, _ = tokenizer_dir(tmp_path, CHATML)
    modelfile = build_modelfile(folder, Release(num_ctx=2048, num_predict=512), "S")
    assert modelfile.parameters == {
        "temperature": 0.3,
        "top_p": 0.9,
        "top_k": 40,
        "repeat_penalty": 1.0,
        "num_predict": 512,
        "num_ctx": 2048,
        "stop": ["<|im_end|>", "<|im_start|>"],
    }


def test_text_of_a_modelfile(tmp_path):
    folder, _ = tokenizer_dir(tmp_path, CHATML)
    text = build_modelfile(folder, Release(), "S").text("model.gguf")
    assert text.startswith('FROM model.gguf\nTEMPLATE """{{- range .Messages }}<|im_start|>')
    assert '\nSYSTEM """S"""\n' in text
    assert text.endswith('PARAMETER stop "<|im_end|>"\nPARAMETER stop "<|im_start|>"\n')


def test_another_template_is_refused(tmp_path):
    folder, _ = tokenizer_dir(
        tmp_path, "{% for m in messages %}[INST]{{ m.content }}[/INST]{% endfor %}"
    )
    with pytest.raises(RequestError, match=r"is not ChatML.*\[INST\]S\[/INST\]"):
        build_modelfile(folder, Release(), "S")


def test_a_folder_without_tokenizer_or_template_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"has no tokenizer_config\.json"):
        build_modelfile(tmp_path, Release(), "S")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(RequestError, match="has no chat template"):
        build_modelfile(tmp_path, Release(), "S")
