"""Stage 2 rows: a question about a scene, and its right answer. Every row is proven before any is
published.

Reads the market artifact's train part and the base model's tokenizer.json; writes rows.jsonl and a
report.json.
"""

import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Tokenizer

from tasks.core.errors import WorkError
from tasks.core.files.json_files import write_json
from tasks.core.kinds import KINDS
from tasks.core.kinds.base import Kind, Language, Scene, scene_to_dict, system_prompt
from tasks.core.kinds.grading import to_text
from tasks.core.kinds.scenes import Days, Draw, draw_scene
from tasks.core.records.market_days import read_marks
from tasks.core.settings.tree import Synthesis
from tasks.core.synthesis.checks import check_rows
from tasks.core.synthesis.guard import prove_of_days
from tasks.core.synthesis.variety import Variety

_TEMPLATE_TOKENS = (
    24  # what a chat template puts around three messages: roles and turn marks, generously
)
_TEXTS = 200  # counted at a time: what the tokenizer tells of a text takes a hundred bytes a token
_COUNTED = (
    "kind",
    "language",
    "regime",
    "date",
    "tokens",
)  # what the report says of the rows' metadata
_DRAWS = 60  # scenes drawn for one row before its token budget counts as impossible


@dataclass(frozen=True)
class _Draft:
    """A row whose tokens are still to be counted."""

    scene: Scene
    question: str
    answer: str


@dataclass(frozen=True)
class _Making:
    """What every row of one kind is made with."""

    days: Days
    budget: int  # tokens
    tokenizer: Tokenizer
    rng: Random
    asked: set[str] = field(default_factory=set)  # questions so far

    def count(self, texts: list[str]) -> list[int]:
        """Tokens of each text; many at a time, because the tokenizer then uses every core."""
        counts: list[int] = []
        for start in range(0, len(texts), _TEXTS):
            batch = texts[start : start + _TEXTS]
            counts += map(len, self.tokenizer.encode_batch_fast(batch, add_special_tokens=False))
        return counts


def synthesize(
    train: Path, tokenizer_file: Path, synthesis: Synthesis, out: Path
) -> dict[str, Any]:
    """Writes out/rows.jsonl with `messages` and `metadata`; the same seed gives the same bytes.

    Raises WorkError, and publishes nothing, if a row cannot be proven or no scene fits the token
    budget.
    """
    days, generated = Days.read(train), read_marks(train)["generated"]
    tokenizer = Tokenizer.from_file(str(tokenizer_file))

    def make(share: tuple[Kind, dict[Language, int]]) -> list[dict[str, Any]]:
        kind, languages = share
        rng = Random(
            f"{synthesis.seed} {kind.name}"
        )  # each kind its own: another kind changes none of its rows
        draws = _draws(kind, languages, synthesis.real_share, rng)
        made = _rows(kind, draws, _Making(days, synthesis.token_budget, tokenizer, rng))
        _prove(made, kind)
        prove_of_days(made, days.snapshots)
        return made

    lines, counted, variety = [], [], Variety()
    with ThreadPoolExecutor(
        4
    ) as pool:  # some kinds' tokens are counted, without Python, while another is written
        for made in pool.map(make, shares(KINDS, synthesis.rows, synthesis.korean_share)):
            for row in made:
                variety.add(row)
                counted.append({name: row["metadata"][name] for name in _COUNTED})
                row["metadata"]["market_generated"] = generated
                lines.append(
                    f"{json.dumps(row, ensure_ascii=False)}\n".encode()
                )  # takes less than the row
    Random(synthesis.seed).shuffle(lines)
    with (out / "rows.jsonl").open("wb") as file:
        file.writelines(lines)
    report = {
        "rows": len(lines),
        **_counts(counted),
        "market_generated": generated,
        "variety": variety.report(),
    }
    write_json(out / "report.json", report)
    return report


def shares(
    kinds: Iterable[Kind], total: int, korean_share: float
) -> list[tuple[Kind, dict[Language, int]]]:
    """Rows per kind and language: shares scaled to 1, largest remainders first, so that they sum to
    total.
    """
    kinds = list(kinds)
    exact = [total * kind.share / sum(other.share for other in kinds) for kind in kinds]
    counts = [int(number + 1e-9) for number in exact]
    rest = sorted(range(len(kinds)), key=lambda i: counts[i] - exact[i])
    for index in rest[: total - sum(counts)]:
        counts[index] += 1
    return [
        (kind, {"ko": (korean := round(number * korean_share)), "en": number - korean})
        for kind, number in zip(kinds, counts, strict=True)
    ]


def _draws(
    kind: Kind, languages: dict[Language, int], real_share: float, rng: Random
) -> list[Draw]:
    """What each row of a kind is to be: exact shares of languages, of real days and of incomplete
    questions.
    """
    order = [language for language, number in languages.items() for _ in range(number)]
    reals = _spread(len(order), real_share, rng)
    partials = _spread(len(order), kind.needs.partial_share, rng)
    return [
        Draw(language, real=real, partial=partial)
        for language, real, partial in zip(order, reals, partials, strict=True)
    ]


def _spread(number: int, share: float, rng: Random) -> list[bool]:
    """True for exactly that share of the numbers, in random places."""
    flags = [index < round(number * share) for index in range(number)]
    rng.shuffle(flags)
    return flags


def _rows(kind: Kind, draws: list[Draw], making: _Making) -> list[dict[str, Any]]:
    """One row for each draw: too long ones are made shorter, all at a time, until every row is in
    the budget.
    """
    drafts = [_new_draft(kind, draw, making) for draw in draws]
    tokens = _count(drafts, making)
    for _ in range(_DRAWS):
        long = [place for place, count in enumerate(tokens) if count > making.budget]
        if not long:
            return [_published(draft, count) for draft, count in zip(drafts, tokens, strict=True)]
        for place in long:
            drafts[place] = _shorter(drafts[place], kind, draws[place], making)
        for place, count in zip(
            long, _count([drafts[place] for place in long], making), strict=True
        ):
            tokens[place] = count
    raise WorkError(
        f"No {kind.name} row in {draws[long[0]].language} fits synthesis.token_budget={making.budget} after {_DRAWS}"
        " attempts. Raise the budget, or lower synthesis.rows."
    )


def _new_draft(kind: Kind, draw: Draw, making: _Making) -> _Draft:
    """A scene whose question was not asked yet."""
    for _ in range(_DRAWS):
        draft = _drafted(draw_scene(kind, making.days, draw, making.rng), kind, making)
        if draft:
            return draft
    raise WorkError(
        f"No new {kind.name} question in {draw.language} after {_DRAWS} scenes. Lower synthesis.rows, or import more"
        " of the market."
    )


def _shorter(draft: _Draft, kind: Kind, draw: Draw, making: _Making) -> _Draft:
    """The scene with one stock less; another scene where the kind needs them all or that was asked
    before.
    """
    facts = draft.scene.facts
    if (
        len(facts.stocks) > kind.needs.stocks[0]
        and not kind.needs.funds
        and "event" not in facts.words
    ):
        fewer = replace(draft.scene, facts=replace(facts, stocks=facts.stocks[:-1]))
        if found := _drafted(fewer, kind, making):
            return found
    return _new_draft(kind, draw, making)


def _drafted(scene: Scene, kind: Kind, making: _Making) -> _Draft | None:
    rng = Random(scene.seed)
    question = kind.ask(scene, rng)
    if question in making.asked:
        return None
    making.asked.add(question)
    return _Draft(scene, question, to_text(kind.answer(scene, rng)))


def _count(drafts: list[_Draft], making: _Making) -> list[int]:
    """Tokens of each row: the system prompt's, its question's, its answer's and the template's."""
    counts = making.count([text for draft in drafts for text in (draft.question, draft.answer)])
    systems = {language: making.count([system_prompt(language)])[0] for language in ("ko", "en")}
    return [
        systems[draft.scene.language] + counts[2 * place] + counts[2 * place + 1] + _TEMPLATE_TOKENS
        for place, draft in enumerate(drafts)
    ]


def _published(draft: _Draft, tokens: int) -> dict[str, Any]:
    scene = draft.scene
    texts = {
        "system": system_prompt(scene.language),
        "user": draft.question,
        "assistant": draft.answer,
    }
    return {
        "messages": [{"role": role, "content": text} for role, text in texts.items()],
        "metadata": {
            "kind": scene.kind,
            "language": scene.language,
            "template": scene.template,
            "layout": scene.layout,
            "regime": scene.regime,
            "date": scene.date,
            "simulated": list(scene.simulated),
            "origins": scene.origins,
            "tokens": tokens,
            "scene": scene_to_dict(scene),
        },
    }


def _prove(rows: list[dict[str, Any]], kind: Kind) -> None:
    failures = check_rows(rows)
    if failures:
        first = failures[0]
        raise WorkError(
            f"{len({failure.row for failure in failures})} synthetic {kind.name} rows are not true; the first,"
            f" {first.rule}: {first.detail}. Its question: {rows[first.row - 1]['messages'][1]['content']}"
        )


def _counts(counted: list[dict[str, Any]]) -> dict[str, Any]:
    """Of what _COUNTED names of each row."""
    found = {name: Counter(row[name] for row in counted) for name in ("kind", "language", "regime")}
    counts: dict[str, Any] = {
        name: dict(sorted(counter.items())) for name, counter in found.items()
    }
    counts["real"] = sum(row["date"] is not None for row in counted)
    counts["days"] = len({row["date"] for row in counted} - {None})
    counts["rows_per_day"] = {regime: _reuse(counted, regime) for regime in counts["regime"]}
    counts["tokens"] = sum(row["tokens"] for row in counted)
    return counts


def _reuse(counted: list[dict[str, Any]], regime: str) -> float | None:
    """How many rows each real day of a regime serves, on average: days of a rare regime serve
    often.
    """
    dates = [row["date"] for row in counted if row["regime"] == regime and row["date"]]
    return round(len(dates) / len(set(dates)), 1) if dates else None
