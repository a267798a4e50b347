"""The system prompt that a chat template itself puts before a conversation which has none."""

from tasks.core.chat.template import ChatTemplate
from tasks.core.errors import RequestError

_MARK = "\u2063system\u2063"  # invisible separators: no template and no model has these words


def default_system(template: ChatTemplate) -> str:
    """Returns the text, e.g. "You are a helpful assistant"; empty if the template puts none.

    A server that renders by another template has to be told it, else it asks the model otherwise
    than it was trained.
    """
    question = {"role": "user", "content": "U"}
    given = [{"role": "system", "content": _MARK}, question]
    try:
        marked = template.render(given, add_generation_prompt=True)
    except RequestError:
        return ""  # it has no place for one, and so none of its own
    before, mark, after = marked.partition(_MARK)
    plain = template.render([question], add_generation_prompt=True)
    if not mark or not plain.startswith(before) or not plain.endswith(after):
        return ""
    return plain[len(before) : len(plain) - len(after)]
