"""The rows of one kind: a question about a scene, and its right answer, each proven from its text.

Reads the market artifact's train part, those of invented markets and the base model's
tokenizer.json; writes no file.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from tasks.core.apportionment import round_quotas
from tasks.core.errors import WorkError
from tasks.core.files.json_files import encode_line
from tasks.core.kinds.base import Kind, Scene, scene_to_dict, system_prompt
from tasks.core.kinds.scenes import Days, Draw, draw_scene
from tasks.core.kinds.texts import to_text
from tasks.core.records.facts import Language
from tasks.core.records.market_days import read_marks
from tasks.core.settings.synthesis import Synthesis
from tasks.core.synthesis.checks import check_rows
from tasks.core.synthesis.guard import prove_of_days
from tasks.core.synthesis.tokens import Tokens

_TEMPLATE_TOKENS = 24
"""A chat template's own tokens around three messages: roles and turn marks, generously."""

_DRAWS = 60
"""Scenes drawn for one row before it is made as short as its kind allows."""

_SHORT_DRAWS = 2_000
"""Such short scenes drawn for one row: where one in a hundred fits, that many never fail."""

_PROBES = 100
"""Short scenes of each kind and language that are looked at before any row is made."""

_REDRAWS = 5
_FEW = 0.05
"""A share of rows up to this, of which the strict proof of texts does not pass the wording, is
drawn again, so many times.
"""


@dataclass(frozen=True)
class Source:
    """What rows are made from: files, and settings."""

    train: Path  # the training part of the market artifact
    tokenizer_file: Path
    synthesis: Synthesis
    invented: tuple[Path, ...] = ()  # parts like `train`, of invented markets


@dataclass(frozen=True)
class Quota:
    """How many rows of one kind are made in each language."""

    kind: Kind
    korean: int
    english: int

    @property
    def rows(self) -> int:
        """Those in both languages."""
        return self.korean + self.english


def shares(kinds: Iterable[Kind], total: int, korean_share: float) -> list[Quota]:
    """Divides `total` rows among the kinds, in proportion to their shares, and the languages."""
    kinds = list(kinds)
    whole = sum(kind.share for kind in kinds)
    rows = round_quotas(total, {kind.name: total * kind.share / whole for kind in kinds})
    quotas = []
    for kind in kinds:
        korean = round(rows[kind.name] * korean_share)
        quotas.append(Quota(kind, korean, rows[kind.name] - korean))
    return quotas


@dataclass(frozen=True)
class _Draft:
    """A row whose tokens are still to be counted."""

    scene: Scene
    question: str
    answer: str


@dataclass(frozen=True)
class Material:
    """What rows of every kind are made with."""

    days: Days
    tokens: Tokens
    synthesis: Synthesis
    generated: bool  # whether the market's prices are invented

    @classmethod
    def of(cls, source: Source) -> "Material":
        """Reads the source's files."""
        invented = tuple(Days.read(part) for part in source.invented)
        days = replace(Days.read(source.train), invented=invented)
        generated = read_marks(source.train)["generated"]
        return cls(days, Tokens.of(source.tokenizer_file), source.synthesis, generated)


@dataclass(frozen=True)
class _Maker:
    """Makes the rows of one kind; each kind has a generator of its own, so that another kind
    changes none of its rows.
    """

    kind: Kind
    material: Material
    rng: Random
    asked: set[str] = field(default_factory=set)  # the questions so far

    @classmethod
    def of(cls, kind: Kind, material: Material, use: str = "") -> "_Maker":
        return cls(kind, material, Random(f"{material.synthesis.seed} {kind.name}{use}"))

    @property
    def days(self) -> Days:
        return self.material.days

    @property
    def token_budget(self) -> int:
        return self.material.synthesis.token_budget


def lines_of(quota: Quota, material: Material) -> list[bytes]:
    """Returns the rows of one kind, as lines of rows.jsonl.

    Raises WorkError if a row cannot be proven, or no scene fits the token budget.
    """
    maker = _Maker.of(quota.kind, material)
    draws = _draws(quota, material.synthesis.real_share, maker.rng)
    lines = []  # take less memory than the rows
    for row in _proven_rows(draws, maker):
        row["metadata"]["market_generated"] = material.generated
        lines.append(encode_line(row))
    return lines


def _draws(quota: Quota, real_share: float, rng: Random) -> list[Draw]:
    """Decides what each row of a kind is to be: the shares of languages, of real days and of
    incomplete questions are exact.
    """
    languages: list[Language] = ["ko"] * quota.korean
    languages += ["en"] * quota.english
    reals = _flags(len(languages), real_share, rng)
    partials = _flags(len(languages), quota.kind.needs.partial_share, rng)
    draws = []
    for language, real, partial in zip(languages, reals, partials, strict=True):
        draws.append(Draw(language, real=real, partial=partial))
    return draws


def _flags(number: int, share: float, rng: Random) -> list[bool]:
    """Returns so many flags; exactly that share of them is True, in random places."""
    flags = [index < round(number * share) for index in range(number)]
    rng.shuffle(flags)
    return flags


def refuse_budget(quota: Quota, material: Material) -> None:
    """Raises WorkError if no row of the kind fits the token budget, before hours go into others."""
    maker = _Maker.of(quota.kind, material, " budget")
    languages: dict[Language, int] = {"ko": quota.korean, "en": quota.english}
    for language, rows in languages.items():
        draw = Draw(language, real=False, partial=False)
        shortest: list[int] = []
        for _ in range(_PROBES if rows else 0):
            shortest += _count_tokens([_shortest_draft(draw, maker)], maker)
            if shortest[-1] <= maker.token_budget:
                break
        if shortest and min(shortest) > maker.token_budget:
            raise WorkError(
                f"synthesis.token_budget={maker.token_budget} is too small: the shortest of"
                f" {_PROBES} {quota.kind.name} rows in {language} has {min(shortest):,} tokens of"
                f" this base. Set synthesis.token_budget={min(shortest) * 5 // 4}, or choose a base"
                " whose tokenizer needs fewer."
            )


def _proven_rows(draws: list[Draw], maker: _Maker) -> list[dict[str, Any]]:
    """Makes one row for each draw. A row that the proof does not pass is drawn again.

    Raises WorkError if more than a few are not true: something is wrong with how they are made.
    """
    rows = _rows(draws, maker)
    failures = check_rows(rows)
    for _ in range(_REDRAWS):
        failed = sorted({failure.row - 1 for failure in failures})
        if not failed or len(failed) > max(2, _FEW * len(rows)):
            break
        anew = _rows([draws[index] for index in failed], maker)
        for index, row in zip(failed, anew, strict=True):
            rows[index] = row
        again = check_rows(anew)
        failures = [replace(failure, row=failed[failure.row - 1] + 1) for failure in again]
    if failures:
        first = failures[0]
        question = rows[first.row - 1]["messages"][1]["content"]
        raise WorkError(
            f"{len({failure.row for failure in failures})} synthetic {maker.kind.name} rows are"
            f" not true; the first, {first.rule}: {first.detail}. Its question: {question}"
        )
    prove_of_days(rows, maker.days.snapshots)
    return rows


def _rows(draws: list[Draw], maker: _Maker) -> list[dict[str, Any]]:
    """Makes one row for each draw. Rows that are too long are made shorter, all at a time, until
    every row is in the budget.
    """
    drafts = [_new_draft(draw, maker) for draw in draws]
    tokens = _count_tokens(drafts, maker)
    for attempt in range(_DRAWS + _SHORT_DRAWS):
        too_long = [index for index, count in enumerate(tokens) if count > maker.token_budget]
        if not too_long:
            return [_row(draft, count) for draft, count in zip(drafts, tokens, strict=True)]
        for index in too_long:
            if attempt < _DRAWS:
                # Of the same regime: the books of some are longer than those of others.
                draw = replace(draws[index], regime=drafts[index].scene.regime)
                drafts[index] = _shorter(drafts[index], draw, maker)
            else:
                drafts[index] = _shortest_draft(draws[index], maker)
        counts = _count_tokens([drafts[index] for index in too_long], maker)
        for index, count in zip(too_long, counts, strict=True):
            tokens[index] = count
    raise WorkError(
        f"No {maker.kind.name} row in {draws[too_long[0]].language} fits"
        f" synthesis.token_budget={maker.token_budget} after"
        f" {_DRAWS + _SHORT_DRAWS:,} attempts. Raise the"
        " budget, or lower synthesis.rows."
    )


def _new_draft(draw: Draw, maker: _Maker) -> _Draft:
    """Makes a draft about a new scene, whose question was not asked yet."""
    for _ in range(_DRAWS):
        scene = draw_scene(maker.kind, maker.days, draw, maker.rng)
        draft = _drafted(scene, maker)
        if draft:
            return draft
    raise WorkError(
        f"No new {maker.kind.name} question in {draw.language} after {_DRAWS} scenes. Lower"
        " synthesis.rows, or import more of the market."
    )


def _shorter(draft: _Draft, draw: Draw, maker: _Maker) -> _Draft:
    """Makes a draft about the same scene with one stock less, or about another scene if the kind
    needs all of its stocks or that question was asked before.
    """
    facts = draft.scene.facts
    if _can_spare(draft.scene, maker.kind):
        fewer = replace(draft.scene, facts=replace(facts, stocks=facts.stocks[:-1]))
        shorter = _drafted(fewer, maker)
        if shorter:
            return shorter
    return _new_draft(draw, maker)


def _shortest_draft(draw: Draw, maker: _Maker) -> _Draft:
    """Makes a draft about a new scene with as few stocks as its kind allows."""
    for _ in range(_DRAWS):
        scene = draw_scene(maker.kind, maker.days, draw, maker.rng)
        if _can_spare(scene, maker.kind):
            fewest = scene.facts.stocks[: maker.kind.needs.stocks[0]]
            scene = replace(scene, facts=replace(scene.facts, stocks=fewest))
        draft = _drafted(scene, maker)
        if draft:
            return draft
    return _new_draft(draw, maker)


def _can_spare(scene: Scene, kind: Kind) -> bool:
    """Whether the question stays whole if its last stock is left out."""
    has_more = len(scene.facts.stocks) > kind.needs.stocks[0]
    return has_more and not kind.needs.funds and "event" not in scene.facts.words


def _drafted(scene: Scene, maker: _Maker) -> _Draft | None:
    """Returns the scene's question and answer, or None if the question was asked before."""
    rng = Random(scene.seed)
    question = maker.kind.ask(scene, rng)
    if question in maker.asked:
        return None
    maker.asked.add(question)
    return _Draft(scene, question, to_text(maker.kind.answer(scene, rng)))


def _count_tokens(drafts: list[_Draft], maker: _Maker) -> list[int]:
    """Counts the tokens of each row: those of the system prompt, of its question, of its answer and
    of the template.
    """
    texts = []
    for draft in drafts:
        texts += [draft.question, draft.answer]
    counts = maker.material.tokens.counts(texts)
    korean, english = maker.material.tokens.counts([system_prompt("ko"), system_prompt("en")])
    systems = {"ko": korean, "en": english}
    tokens = []
    for index, draft in enumerate(drafts):
        own = counts[2 * index] + counts[2 * index + 1]
        tokens.append(systems[draft.scene.language] + own + _TEMPLATE_TOKENS)
    return tokens


def _row(draft: _Draft, tokens: int) -> dict[str, Any]:
    scene = draft.scene
    return {
        "messages": [
            {"role": "system", "content": system_prompt(scene.language)},
            {"role": "user", "content": draft.question},
            {"role": "assistant", "content": draft.answer},
        ],
        "metadata": {
            "kind": scene.kind,
            "language": scene.language,
            "template": scene.template,
            "layout": scene.layout,
            "regime": scene.regime,
            "date": scene.date,
            "day": scene.day,
            "simulated": list(scene.simulated),
            "origins": scene.origins,
            "tokens": tokens,
            "scene": scene_to_dict(scene),
        },
    }
