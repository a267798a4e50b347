"""Stage 2 rows: a question about a scene, and its right answer. Every row is proven before any is published.

Reads the market artifact's train part and the base model's tokenizer.json; writes rows.jsonl and a report.json.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Tokenizer

from tasks.core.digests import write_json
from tasks.core.errors import WorkError
from tasks.core.kinds import KINDS
from tasks.core.kinds.base import Kind, Language, Scene, scene_to_dict, system_prompt
from tasks.core.kinds.grading import to_text
from tasks.core.kinds.scenes import Days, Draw, draw_scene
from tasks.core.market_days import read_marks
from tasks.core.settings import Synthesis
from tasks.core.synthesis.checks import check_rows
from tasks.core.synthesis.variety import variety

log = logging.getLogger(__name__)

_TEMPLATE_TOKENS = 24  # what a chat template puts around three messages: roles and turn marks, generously
_DRAWS = 60  # scenes drawn for one row before its token budget counts as impossible

Count = Callable[[str], int]


@dataclass(frozen=True)
class _Making:
    """What every row of one kind is made with."""

    days: Days
    budget: int  # tokens
    count: Count
    rng: Random
    seen: set[str]  # questions asked so far


def synthesize(train: Path, tokenizer_file: Path, synthesis: Synthesis, out: Path) -> dict[str, Any]:
    """Writes out/rows.jsonl with `messages` and `metadata`; the same seed gives the same bytes.

    Raises WorkError, and publishes nothing, if a row cannot be proven or no scene fits the token budget.
    """
    days, count = Days.read(train), _counter(tokenizer_file)
    generated = read_marks(train)["generated"]
    rows: list[dict[str, Any]] = []
    for kind, languages in shares(KINDS, synthesis.rows, synthesis.korean_share):
        rng = Random(f"{synthesis.seed} {kind.name}")
        making = _Making(days, synthesis.token_budget, count, rng, set())
        rows += [_row(kind, draw, making) for draw in _draws(kind, languages, synthesis.real_share, rng)]
    for row in rows:
        row["metadata"]["market_generated"] = generated
    Random(synthesis.seed).shuffle(rows)
    _prove(rows)
    with (out / "rows.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    report = {"rows": len(rows), **_counts(rows), "market_generated": generated, "variety": variety(rows)}
    write_json(out / "report.json", report)
    return report


def shares(kinds: Iterable[Kind], total: int, korean_share: float) -> list[tuple[Kind, dict[Language, int]]]:
    """Rows per kind and language: shares scaled to 1, largest remainders first, so that they sum to total."""
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


def _counter(tokenizer_file: Path) -> Count:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))

    @lru_cache(8)  # the strategy prompt is in every row
    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return count


def _draws(kind: Kind, languages: dict[Language, int], real_share: float, rng: Random) -> list[Draw]:
    """What each row of a kind is to be: exact shares of languages, of real days and of incomplete questions."""
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


def _row(kind: Kind, draw: Draw, making: _Making) -> dict[str, Any]:
    """One row within the token budget: fewer stocks where it is too long, another scene where that does not help."""
    for _ in range(_DRAWS):
        scene = draw_scene(kind, making.days, draw, making.rng)
        while scene:
            texts = _texts(kind, scene)
            if texts[1] in making.seen:
                break
            tokens = sum(map(making.count, texts)) + _TEMPLATE_TOKENS
            if tokens <= making.budget:
                making.seen.add(texts[1])
                return _published(scene, texts, tokens)
            scene = _fewer(scene, kind)
    raise WorkError(
        f"No new {kind.name} row in {draw.language} fits synthesis.token_budget={making.budget} after {_DRAWS}"
        " scenes. Raise the budget, or lower synthesis.rows."
    )


def _texts(kind: Kind, scene: Scene) -> tuple[str, str, str]:
    """System prompt, question and answer."""
    rng = Random(scene.seed)
    return system_prompt(scene.language), kind.ask(scene, rng), to_text(kind.answer(scene, rng))


def _fewer(scene: Scene, kind: Kind) -> Scene | None:
    """The scene with one stock less; None where the kind needs them all."""
    stocks = scene.facts.stocks
    if len(stocks) <= kind.needs.stocks[0] or kind.needs.funds or "event" in scene.facts.words:
        return None
    return replace(scene, facts=replace(scene.facts, stocks=stocks[:-1]))


def _published(scene: Scene, texts: tuple[str, ...], tokens: int) -> dict[str, Any]:
    roles = ("system", "user", "assistant")
    return {
        "messages": [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)],
        "metadata": {
            "kind": scene.kind,
            "language": scene.language,
            "template": scene.template,
            "layout": scene.layout,
            "regime": scene.regime,
            "date": scene.date,
            "simulated": list(scene.simulated),
            "tokens": tokens,
            "scene": scene_to_dict(scene),
        },
    }


def _prove(rows: list[dict[str, Any]]) -> None:
    failures = check_rows(rows)
    if failures:
        first = failures[0]
        raise WorkError(
            f"{len({failure.row for failure in failures})} synthetic rows are not true; the first is row {first.row},"
            f" {first.rule}: {first.detail}"
        )


def _counts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = {name: Counter(row["metadata"][name] for row in rows) for name in ("kind", "language", "regime")}
    counts: dict[str, Any] = {name: dict(sorted(counter.items())) for name, counter in found.items()}
    counts["real"] = sum(row["metadata"]["date"] is not None for row in rows)
    counts["days"] = len({row["metadata"]["date"] for row in rows} - {None})
    counts["tokens"] = sum(row["metadata"]["tokens"] for row in rows)
    return counts
