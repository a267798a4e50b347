"""Conversations as text, by the tokenizer's own chat template and within its limits."""

from collections.abc import Mapping, Sequence

from transformers import PreTrainedTokenizerFast

from tasks.core.chat.rendering import TemplateRefused, render
from tasks.core.errors import RequestError

_EXCERPT = 60  # characters of a message in an error


def render_chat(
    tokenizer: PreTrainedTokenizerFast,
    messages: Sequence[Mapping[str, str]],
    add_generation_prompt: bool = False,
) -> str:
    """Returns a conversation's text, as apply_chat_template of transformers renders it.

    Raises RequestError, which shows the conversation, if the template refuses it.
    """
    values = {
        "messages": list(messages),
        "tools": None,
        "documents": None,
        "add_generation_prompt": add_generation_prompt,
    }
    try:
        return render(tokenizer.get_chat_template(), values | tokenizer.special_tokens_map)
    except TemplateRefused as refused:
        turns = ", ".join(f"{turn['role']}: {turn['content'][:_EXCERPT]!r}" for turn in messages)
        raise RequestError(
            f"The base's chat template refuses a row ({refused}). Its turns are {turns}."
        ) from None
