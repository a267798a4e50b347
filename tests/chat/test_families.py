"""Which family a tokenizer's template belongs to is found by what it renders."""

import pytest

from tasks.core.chat.families import (
    FAMILIES,
    PROBE_TOOLS,
    find_family,
    refuse_no_system,
    refuse_template,
)
from tasks.core.chat.template import ChatTemplate
from tasks.core.errors import RequestError
from tests.chat.tokenizer import CHATML, chat_tokenizer
from tests.serving.shapes import SHAPES, conversations

TEMPLATES = {"chatml": CHATML} | {name: shape.template for name, shape in SHAPES.items()}
GEMMA_2 = "{% if messages[0].role == 'system' %}{{ raise_exception('No system role') }}{% endif %}"
DATED = TEMPLATES["llama-3.1-tools"].replace("26 Jul 2024", "' ~ strftime_now('%d %b %Y') ~ '")


def folder_with(tmp_path, template):
    return chat_tokenizer(tmp_path, template)[0]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_family_renders_as_its_template(tmp_path, name):
    template = ChatTemplate(folder_with(tmp_path, TEMPLATES[name]))
    family = find_family(template)
    assert family.key == name
    for messages in conversations():
        if messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": "S"})
        for tools in (), PROBE_TOOLS:
            expected = template.render(messages, add_generation_prompt=True, tools=tools)
            assert family.render(messages, tools) == expected.removeprefix("<s>")


@pytest.mark.parametrize("name", TEMPLATES)
def test_one_changed_space_is_another_template(tmp_path, name):
    end = next(family.stops[0] for family in FAMILIES if family.key == name)
    changed = TEMPLATES[name].replace(end, f" {end}")
    assert changed != TEMPLATES[name]
    assert find_family(ChatTemplate(folder_with(tmp_path, changed))) is None


def test_other_tools_are_left_out(tmp_path):
    changed = TEMPLATES["llama-3.1-tools"].replace("Do not use variables", "No variables")
    assert find_family(ChatTemplate(folder_with(tmp_path, changed))).key == "llama-3.1"


def test_a_template_is_refused_unless_it_is_allowed(tmp_path):
    folder = folder_with(tmp_path, TEMPLATES["gemma"])
    refuse_template(folder, "known")
    refuse_template(folder, "any")
    with pytest.raises(RequestError, match=r"is Gemma 3, and training\.template=chatml allows"):
        refuse_template(folder, "chatml")


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ messages[0].content }}", "it renders 'S' where ChatML is '<|im_start|>system"),
        (DATED, "it may write today's date"),
    ],
)
def test_a_template_of_no_family_is_refused_with_its_reason(tmp_path, template, reason):
    folder = folder_with(tmp_path, template)
    refuse_template(folder, "any")
    with pytest.raises(RequestError) as refused:
        refuse_template(folder, "known")
    assert f"none of ChatML, Llama-3, Llama-3.1 and Gemma 3: {reason}" in str(refused.value)
    assert "training.template=any" in str(refused.value)


def test_a_template_without_a_system_role_is_refused_with_the_remedy(tmp_path):
    refuse_no_system(folder_with(tmp_path, CHATML))
    folder = folder_with(tmp_path, GEMMA_2)
    with pytest.raises(RequestError, match=r"No system role.*chat_template\.jinja writes the"):
        refuse_no_system(folder)
