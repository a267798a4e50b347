"""Tokens of conversations as training sees them: the tokenizer's own chat template, then its
tokenizer. No torch.

Reads tokenizer.json, and chat_template.jinja or tokenizer_config.json, of a base model's folder.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from tasks.core.chat.template import ChatTemplate
from tasks.core.errors import RequestError


class TokenCounter:
    """Counts the tokens of whole conversations.

    Raises RequestError for a folder without a tokenizer or a chat template.
    """

    def __init__(self, folder: Path):
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise RequestError(
                f"--tokenizer {folder}: there is no tokenizer.json. Name the folder of a base"
                " model, e.g. the `base` of a download artifact (kospilot artifacts list)."
            )
        self._tokenizer = Tokenizer.from_file(str(file))
        try:
            self._template = ChatTemplate(folder)
        except RequestError as error:
            raise RequestError(f"--tokenizer: {error}") from None

    def count(self, conversations: Sequence[list[dict[str, Any]]]) -> list[int]:
        """The tokens of each conversation (role and content), all turns; one batch for all."""
        texts = []
        for messages in conversations:
            texts.append(self._template.render(messages, add_generation_prompt=False))
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]
