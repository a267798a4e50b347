"""Stage 2 rows: a question about a scene, and its right answer. Every row is checked before any is published.

Reads the market artifact's train part and the base model's tokenizer.json; writes rows.jsonl.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Tokenizer

from tasks.core.errors import WorkError
from tasks.core.kinds import KINDS
from tasks.core.kinds.base import Kind, Language, Scene, scene_to_dict, system_prompt
from tasks.core.kinds.grading import to_text
from tasks.core.kinds.scenes import Days, draw_scene
from tasks.core.kinds.wording import known_numbers
from tasks.core.market_days import read_marks
from tasks.core.settings import Synthesis
from tasks.core.strategy import regime_of
from tasks.core.synthesis.checks import check_row

log = logging.getLogger(__name__)

_TEMPLATE_TOKENS = 24  # what a chat template puts around three messages: roles and turn marks, generously
_DRAWS = 60  # scenes drawn for one row before its token budget counts as impossible

Count = Callable[[str], int]


def synthesize(train: Path, tokenizer_file: Path, synthesis: Synthesis, out: Path) -> dict[str, Any]:
    """Writes out/rows.jsonl with `messages` and `metadata`; the same seed gives the same bytes.

    Raises WorkError, and publishes nothing, if a row fails a check or no scene fits the token budget.
    """
    days, tokenizer = Days.read(train), Tokenizer.from_file(str(tokenizer_file))
    generated = read_marks(train)["generated"]

    @lru_cache(8)  # the strategy prompt is in every row
    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    rows: list[dict[str, Any]] = []
    for kind, languages in shares(KINDS, synthesis.rows, synthesis.korean_share):
        rng = Random(f"{synthesis.seed} {kind.name}")
        reals = _spread(sum(languages.values()), synthesis.real_share, rng)
        order = [language for language, number in languages.items() for _ in range(number)]
        seen: set[str] = set()
        for language, real in zip(order, reals, strict=True):
            rows.append(_row(kind, days, language, real, (synthesis, count, seen, rng)))
    for row in rows:
        row["metadata"]["market_generated"] = generated
    Random(synthesis.seed).shuffle(rows)
    _check(rows)
    with (out / "rows.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return {"rows": len(rows), **_counts(rows), "market_generated": generated}


def shares(kinds: Iterable[Kind], total: int, korean_share: float) -> list[tuple[Kind, dict[Language, int]]]:
    """Rows per kind and language: shares scaled to 1, largest remainders first, so that they sum to total."""
    kinds = list(kinds)
    exact = [total * kind.share / sum(other.share for other in kinds) for kind in kinds]
    counts = [int(number) for number in exact]
    rest = sorted(range(len(kinds)), key=lambda i: counts[i] - exact[i])
    for index in rest[: total - sum(counts)]:
        counts[index] += 1
    return [
        (kind, {"ko": (korean := round(number * korean_share)), "en": number - korean})
        for kind, number in zip(kinds, counts, strict=True)
    ]


def _spread(number: int, share: float, rng: Random) -> list[bool]:
    """True for exactly that share of the numbers, in random places."""
    flags = [index < round(number * share) for index in range(number)]
    rng.shuffle(flags)
    return flags


def _row(kind: Kind, days: Days, language: Language, real: bool, making: tuple) -> dict[str, Any]:
    """One row within the token budget: fewer stocks where it is too long, another scene where that does not help."""
    synthesis, count, seen, rng = making
    for _ in range(_DRAWS):
        drawn = draw_scene(kind, days, language, rng, "train", real)
        for stocks in range(len(drawn.stocks), min(kind.stocks[0], len(drawn.stocks)) - 1, -1):
            scene = replace(drawn, stocks=drawn.stocks[:stocks])
            texts = (system_prompt(language), kind.ask(scene, rng), to_text(kind.answer(scene, rng)))
            tokens = sum(map(count, texts)) + _TEMPLATE_TOKENS
            if texts[1] in seen:
                break
            if tokens <= synthesis.token_budget:
                seen.add(texts[1])
                return _published(scene, texts, tokens)
    raise WorkError(
        f"No new {kind.name} row in {language} fits synthesis.token_budget={synthesis.token_budget} after {_DRAWS}"
        " scenes. Raise the budget, or lower synthesis.rows."
    )


def _published(scene: Scene, texts: tuple[str, ...], tokens: int) -> dict[str, Any]:
    roles = ("system", "user", "assistant")
    return {
        "messages": [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)],
        "metadata": {
            "kind": scene.kind,
            "language": scene.language,
            "template": scene.template,
            "layout": scene.layout,
            "regime": regime_of(**known_numbers(scene)),
            "date": scene.snapshot.date or None,
            "simulated": list(scene.simulated),
            "tokens": tokens,
            "scene": scene_to_dict(scene),
        },
    }


def _check(rows: list[dict[str, Any]]) -> None:
    failures = [(number, problem) for number, row in enumerate(rows, 1) for problem in check_row(row)]
    if failures:
        number, problem = failures[0]
        raise WorkError(f"{len(failures)} synthetic rows are not true; the first is row {number}: {problem}")


def _counts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = {name: Counter(row["metadata"][name] for row in rows) for name in ("kind", "language", "regime")}
    counts: dict[str, Any] = {name: dict(sorted(counter.items())) for name, counter in found.items()}
    counts["real"] = sum(not row["metadata"]["simulated"] for row in rows)
    counts["days"] = len({row["metadata"]["date"] for row in rows} - {None})
    counts["tokens"] = sum(row["metadata"]["tokens"] for row in rows)
    return counts
