"""How many tokens texts have for a base, counted a word at a time: rows consist of the same words.

Reads the base's tokenizer.json.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

_BATCH = 200
"""Whole texts that are tokenized at a time: what the tokenizer tells of a text takes a hundred
bytes a token.
"""

_CUT = "\0"
"""Stands where a text is cut; a text that has it is not cut."""

_DIGITS = b"0123456789"
_AS_ZEROS = bytes.maketrans(_DIGITS, b"0" * len(_DIGITS))

_MOST_WORDS = 200_000
"""Words whose tokens are remembered: 5,000 rows have 58,000 different ones, 16,000 if digits
are alike.
"""

_WIDE_SPACE = re.compile(r"\s\s")

QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The pattern by which the tokenizers of Qwen 2 to 3 cut a text."""
LLAMA = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
"""That of Llama 3: it keeps up to three digits together."""


@dataclass(frozen=True)
class Tokens:
    """Counts tokens of texts, without the special ones around a text.

    Each different word is tokenized once, if the tokenizer cuts every text before its spaces: that
    takes a sixth of the time (0.8 s and not 4.6 s for 5,000 rows with the demo's tokenizer). Words
    that differ in their digits only are one word, if each digit is a token: a third of that.
    """

    tokenizer: Tokenizer
    by_words: bool
    digits_alike: bool = False
    _known: dict[bytes, int] = field(default_factory=dict)  # by words in UTF-8

    @classmethod
    def of(cls, tokenizer_file: Path) -> "Tokens":
        """Reads a tokenizer.json."""
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        return cls(tokenizer, cuts_before_spaces(tokenizer), counts_digits_alike(tokenizer))

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Returns how many tokens each text has."""
        if self.by_words and all(map(_has_narrow_spaces, texts)):
            return self._by_words(texts)
        return self._tokenized(texts)

    def _by_words(self, texts: Sequence[str]) -> list[int]:
        if len(self._known) > _MOST_WORDS:
            self._known.clear()
        in_words = [self._words_of(text) for text in texts]
        new = list(set().union(*in_words).difference(self._known))
        counts = self._tokenized([word.decode() for word in new])
        self._known.update(zip(new, counts, strict=True))
        return [sum(map(self._known.__getitem__, words)) for words in in_words]

    def _words_of(self, text: str) -> list[bytes]:
        """Cuts a text before its spaces."""
        encoded = text.encode()
        if self.digits_alike:
            encoded = encoded.translate(_AS_ZEROS)
        return encoded.replace(b" ", b"\0 ").split(b"\0")

    def _tokenized(self, texts: Sequence[str]) -> list[int]:
        counts: list[int] = []
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            counts += map(len, self.tokenizer.encode_batch_fast(batch, add_special_tokens=False))
        return counts


def _has_narrow_spaces(text: str) -> bool:
    """Whether each white space of a text stands alone between two other characters."""
    return _CUT not in text and text.strip() == text and not _WIDE_SPACE.search(text)


def cuts_before_spaces(tokenizer: Tokenizer) -> bool:
    """Whether a text has as many tokens as its parts, cut before each single space between two
    other characters; False if the tokenizer is of a form that is not known to do so.
    """
    if tokenizer.truncation or tokenizer.padding:
        return False
    added = [token.content.strip() for token in tokenizer.get_added_tokens_decoder().values()]
    if any(" " in token for token in added):
        return False
    normalizer = _state(tokenizer.normalizer)
    if normalizer and normalizer["type"] != "NFC":
        return False
    steps = _steps(tokenizer)
    return any(map(_cuts, steps)) and all(
        _cuts(step) or step["type"] in _HARMLESS for step in steps
    )


def counts_digits_alike(tokenizer: Tokenizer) -> bool:
    """Whether a text keeps its number of tokens if another digit stands in for one of its own;
    False if the tokenizer is of a form that is not known to do so.
    """
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    if any(letter.isdigit() for content in added for letter in content):
        return False
    if not any(map(_parts_digits, _steps(tokenizer))):
        return False
    digits = tokenizer.encode_batch([*_DIGITS.decode()], add_special_tokens=False)
    return len({len(tokens) for tokens in digits}) == 1


def _parts_digits(step: dict[str, Any]) -> bool:
    """Whether a step of a pre-tokenizer makes a part of its own of each digit."""
    if step["type"] == "Split":
        return _isolates(step, QWEN)
    return step["type"] == "Digits" and bool(step["individual_digits"])


_HARMLESS = ("Digits", "ByteLevel")
"""Steps of pre-tokenizers for which it does not matter what stands on the other side of a space."""


def _cuts(step: dict[str, Any]) -> bool:
    """Whether a step of a pre-tokenizer cuts before every space that stands alone."""
    if step["type"] == "Split":
        return _isolates(step, QWEN, LLAMA)
    return step["type"] == "WhitespaceSplit" or bool(step.get("use_regex"))


def _isolates(step: dict[str, Any], *patterns: str) -> bool:
    """Whether a step makes a part of its own of whatever one of the patterns matches."""
    isolates = step["behavior"] == "Isolated" and not step["invert"]
    return isolates and step["pattern"].get("Regex") in patterns


def _steps(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Returns the steps of the tokenizer's pre-tokenizer."""
    state = _state(tokenizer.pre_tokenizer)
    return [] if state is None else state.get("pretokenizers", [state])


def _state(part: Any) -> dict[str, Any] | None:
    """Returns a part of a tokenizer as tokenizer.json has it."""
    return None if part is None else json.loads(part.__getstate__())
