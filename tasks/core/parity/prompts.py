"""The prompts of a proof: rows that the model was trained on, as tokens, with their right answers.

Reads rows.jsonl of the strategy and rows.parquet of Stage 1, and the training tokenizer; writes and
reads prompts.json, which the programs of the hops read.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
from tokenizers import Tokenizer

from tasks.core.apportionment import in_turn
from tasks.core.chat.template import ChatTemplate, Messages
from tasks.core.errors import RequestError, WorkError
from tasks.core.files.json_files import read_json, read_lines, write_json

PROMPTS = 64
"""Prompts of a proof: every kind, and both languages."""

SCORED_TOKENS = 16
"""Tokens of a long right answer that are scored, from its first one. The faults of a release show
in each token; the later ones would cost their positions without telling more.
"""

WHOLE_TOKENS = 32
"""A right answer of up to so many tokens is scored whole, the end of the answer included."""

REPLY_TOKENS = 300
"""Tokens of the right answers to all prompts that are answered freely, token by token: that takes
ten times as long as scoring. The shortest answers are taken.
"""


@dataclass(frozen=True)
class Prompt:
    """A row's prompt, and the beginning of its right answer or all of it."""

    name: str
    messages: Messages  # all before the answer
    text: str  # as the training template renders them
    tokens: list[int]
    answer: list[int]  # the right answer's tokens that are scored
    whole: bool  # whether the answer's last token is the one that ends it
    kind: str = ""  # empty for a row of Stage 1
    scene: dict[str, Any] | None = None  # kinds.base.scene_to_dict of what was asked about
    most_tokens: int = 0  # of a free reply; 0 if the prompt is not answered freely


@dataclass(frozen=True)
class Prompts:
    """All prompts of a proof, in an order in which each shares most with its neighbours."""

    prompts: list[Prompt]
    end: int  # the token that ends an answer, as the model was trained
    longest: int  # tokens of the longest row, answer included

    @property
    def answered(self) -> list[Prompt]:
        """The prompts that are answered freely."""
        return [prompt for prompt in self.prompts if prompt.most_tokens]


@dataclass(frozen=True)
class Rows:
    """The files of rows that the model was trained on; a file that there is not is None."""

    strategy: Path | None = None  # rows.jsonl of synthesize
    finance: Path | None = None  # rows.parquet of normalize


@dataclass(frozen=True)
class _Row:
    messages: Messages  # with the right answer as the last one
    kind: str = ""
    language: str = ""
    scene: dict[str, Any] | None = None

    @property
    def question_bytes(self) -> int:
        return sum(len(message["content"].encode()) for message in self.messages[:-1])

    @property
    def bytes(self) -> int:
        return self.question_bytes + len(self.messages[-1]["content"].encode())


def choose_prompts(rows: Rows, tokenizer_dir: Path) -> Prompts:
    """Returns the prompts of a proof; the same rows give the same prompts.

    If there are rows of Stage 1, a short row of each kind is taken, most in the language that costs
    less, and the others are short ones of Stage 1; else they are the strategy's shortest of each
    kind and language. Raises WorkError if no row has an answer.
    """
    strategy = list(_strategy_rows(rows.strategy)) if rows.strategy else []
    finance = list(_finance_rows(rows.finance)) if rows.finance else []
    chosen = _by_kind(strategy)
    if finance:
        chosen = _one_of_each_kind(chosen)
        chosen += _spread(finance, PROMPTS - len(chosen))
    encoder = _Encoder(tokenizer_dir)
    encoded = [prompt for row in chosen if (prompt := encoder.encode(row))]
    if not encoded:
        raise WorkError("No row of the training has an answer, so nothing can be proven.")
    answered = _shortest_answers([prompt for prompt in encoded if prompt.kind] or encoded)
    prompts = []
    for prompt in encoded:
        prompts.append(prompt if prompt.name in answered else _scored_only(prompt))
    longest_first = sorted(strategy + finance, key=lambda row: -row.bytes)
    longest = next(filter(None, map(encoder.length, longest_first)), 0)
    # sorted, so that a prompt shares a long beginning with the one before it
    prompts.sort(key=lambda prompt: prompt.tokens)
    return Prompts(prompts, encoder.end, longest)


def write_prompts(prompts: Prompts, file: Path) -> None:
    """Writes the prompts for the programs of the hops."""
    write_json(file, asdict(prompts))


def read_prompts(file: Path) -> Prompts:
    """Returns what `write_prompts` wrote."""
    fields = read_json(file)
    prompts = [Prompt(**prompt) for prompt in fields.pop("prompts")]
    return Prompts(prompts, **fields)


def _strategy_rows(file: Path) -> Iterator[_Row]:
    for row in read_lines(file):
        metadata = row["metadata"]
        if metadata["scene"]:  # not a user's own row, whose answer nothing can grade
            yield _Row(row["messages"], metadata["kind"], metadata["language"], metadata["scene"])


def _finance_rows(file: Path) -> Iterator[_Row]:
    """Yields the rows of Stage 1, each up to its first answer."""
    for batch in parquet.ParquetFile(file).iter_batches(columns=["messages"]):
        for row in batch.to_pylist():
            roles = [message["role"] for message in row["messages"]]
            if "assistant" in roles[1:]:
                yield _Row(row["messages"][: roles.index("assistant") + 1])


def _by_kind(rows: list[_Row]) -> list[_Row]:
    """Returns the shortest row of each kind and language, then the next ones; PROMPTS at most."""
    shortest_first = sorted(rows, key=lambda row: row.question_bytes)
    return list(islice(in_turn(shortest_first, lambda row: f"{row.kind} {row.language}"), PROMPTS))


def _one_of_each_kind(rows: list[_Row]) -> list[_Row]:
    """Returns one row of each kind, in the language in which it is shortest. A third of the kinds
    are taken in the other one, those in which the two differ least: Korean costs twice the tokens.
    """
    kinds: dict[str, dict[str, _Row]] = {}
    for row in rows:
        kinds.setdefault(row.kind, {}).setdefault(row.language, row)
    choices = [sorted(ones.values(), key=lambda row: row.question_bytes) for ones in kinds.values()]
    choices.sort(key=_surplus)
    others = math.ceil(len(choices) / 3)
    chosen = [choice[-1] for choice in choices[:others]]
    return chosen + [choice[0] for choice in choices[others:]]


def _surplus(choice: list[_Row]) -> float:
    """Bytes by which the longest of a kind's rows is longer; infinite if there is one row only."""
    if len(choice) == 1:
        return math.inf
    return choice[-1].question_bytes - choice[0].question_bytes


def _spread(rows: list[_Row], count: int) -> list[_Row]:
    """Returns so many rows of the shorter half, from the shortest to the longest at equal steps."""
    by_length = sorted(rows, key=lambda row: row.bytes)
    shorter = by_length[: max(count, len(by_length) // 2)]
    step = max(1.0, len(shorter) / max(1, count))
    return [shorter[int(index * step)] for index in range(min(count, len(shorter)))]


def _shortest_answers(prompts: list[Prompt]) -> set[str]:
    """Returns the names of the prompts with the shortest right answers, of REPLY_TOKENS in all."""
    left = REPLY_TOKENS
    names: set[str] = set()
    for prompt in sorted(prompts, key=lambda prompt: len(prompt.answer)):
        left -= len(prompt.answer)
        if left < 0 and names:
            break
        names.add(prompt.name)
    return names


def _scored_only(prompt: Prompt) -> Prompt:
    """Returns the prompt as it is scored if it is not answered freely."""
    if len(prompt.answer) <= WHOLE_TOKENS:
        return replace(prompt, most_tokens=0)
    return replace(prompt, most_tokens=0, whole=False, answer=prompt.answer[:SCORED_TOKENS])


class _Encoder:
    """The training tokenizer: a whole row's text is cut into tokens, as training cuts it."""

    def __init__(self, folder: Path):
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._template = ChatTemplate(folder)
        self._end = self._template.eos_token
        number = self._tokenizer.token_to_id(self._end)
        if number is None:
            raise WorkError(f"The tokenizer of {folder} has no token {self._end!r}, its EOS.")
        self.end: int = number
        self._count = 0

    def encode(self, row: _Row) -> Prompt | None:
        """Returns a row's prompt with its whole answer, or None if the template refuses it, or if
        template or tokenizer run prompt and answer into one another.
        """
        try:
            text = self._template.render(row.messages[:-1], add_generation_prompt=True)
        except RequestError:  # nor was it trained
            return None
        tokens = self._ids(text)
        whole = self._ids(text + row.messages[-1]["content"] + self._end)
        if whole[: len(tokens)] != tokens:
            return None
        answer = whole[len(tokens) :]
        self._count += 1
        return Prompt(
            name=f"{self._count} {row.kind} {row.language}".strip(),
            messages=row.messages[:-1],
            text=text,
            tokens=tokens,
            answer=answer,
            whole=True,
            kind=row.kind,
            scene=row.scene,
            most_tokens=len(answer) * 5 // 4 + 8,
        )

    def length(self, row: _Row) -> int:
        """Returns the tokens of a row, answer included; 0 if the template refuses it."""
        try:
            text = self._template.render(row.messages, add_generation_prompt=False)
        except RequestError:
            return 0
        return len(self._ids(text))

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)
