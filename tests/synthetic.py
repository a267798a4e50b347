"""Made-up market days and scenes on them, and rows from the demo market, for the tests of kinds and
of their proof.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers

from tasks.core.kinds.base import Kind, Scene
from tasks.core.kinds.scenes import Days, Draw, Split, draw_scene
from tasks.core.kinds.simulate import simulate_market
from tasks.core.market.artifact import build_market
from tasks.core.market.demo import ensure_demo_market
from tasks.core.records.facts import Facts, Language, StockFacts
from tasks.core.records.market import Snapshot, StockDay
from tasks.core.settings.tree import Market, Synthesis
from tasks.core.strategy.rules import NUMBERS
from tasks.core.strategy.universe import etfs, stocks
from tasks.core.synthesis.generate import synthesize
from tasks.core.synthesis.kind_rows import Source

LANGUAGES: tuple[Language, ...] = ("ko", "en")
LAYOUTS = ("bullets", "sentence", "compact", "table")


def made_up_days(number: int = 40, seed: int = 3) -> Days:
    """Days of every regime on which every fourth stock of the universe traded, some without a
    valuation.
    """
    rng = Random(seed)
    snapshots = tuple(
        Snapshot(f"2024-{n // 28 + 1:02d}-{n % 28 + 1:02d}", **simulate_market(rng))
        for n in range(number)
    )
    traded = {
        day.date: [
            StockDay(
                stock.ticker,
                50_000.0,
                0.5,
                rng.choice([None, 0.0, rng.uniform(3, 60)]),
                rng.uniform(0.2, 9),
                1e12,
            )
            for stock in stocks()[::4]
        ]
        for day in snapshots
    }
    return Days(snapshots, traded)


def scenes_of(
    kind: Kind, days: Days, language: Language, number: int = 60, split: Split = "train"
) -> Iterator[Scene]:
    """Scenes of a kind: seven tenths of real days, and a third of them incomplete where the kind
    has such questions.
    """
    rng = Random(f"{kind.name} {language} {split}")
    for _ in range(number):
        partial = bool(kind.needs.partial_share) and rng.random() < 0.33
        yield draw_scene(kind, days, Draw(language, split, rng.random() < 0.7, partial), rng)


def in_every_layout(scene: Scene) -> list[Scene]:
    return [scene] if scene.partial else [replace(scene, layout=layout) for layout in LAYOUTS]


def scene_on(
    kind: Kind,
    numbers: tuple[float, ...],
    language: Language = "en",
    given: tuple = NUMBERS,
    **more,
) -> Scene:
    """A plain scene of these four market numbers, of which `given` are said; `more` are further
    numbers or words.

    The stocks are the universe's first, each with the same numbers.
    """
    line = {
        "per": 9.5,
        "pbr": 1.1,
        "beta": 1.05,
        "weight_pct": 15.0,
        "pnl_pct": -3.5,
        "gap_pct": 3.5,
        "volume_x": 3.5,
    }
    line["f_score"] = 6.0
    words = {"us_correlation": "low", "tier": "large"}
    lines = [
        StockFacts(
            stock.ticker,
            {name: line[name] for name in kind.needs.stock_numbers},
            {name: words[name] for name in kind.needs.stock_words},
        )
        for stock in stocks()[: kind.needs.stocks[1]]
    ]
    lines += [
        StockFacts(fund.ticker)
        for group in kind.needs.funds
        for fund in etfs()
        if fund.group == group
    ]
    market = {name: value for name, value in zip(NUMBERS, numbers, strict=True) if name in given}
    needed = {name: more.pop(name, 10.0) for name in kind.needs.numbers}
    said = {
        name: more.pop(name, default)
        for name, default in _WORDS.items()
        if name in kind.needs.words
    }
    layout = "bullets" if set(given) == set(NUMBERS) else "sentence"
    facts = Facts({**market, **needed, **more}, tuple(lines), said)
    return Scene(kind.name, language, 0, layout, "2024-05-02", facts, seed=5)


_WORDS = {"previous_regime": "MILD_BULL", "shock": "index_drop", "event": "memory_price_up"}


def demo_market(folder: Path) -> Path:
    """The generated market's artifact: a folder with train/ and holdout/."""
    ensure_demo_market(folder / "daily")
    (folder / "market").mkdir()
    build_market(folder / "daily", Market(), folder / "market")
    return folder / "market"


def whitespace_tokenizer(folder: Path) -> Path:
    """A tokenizer.json with a token for every run of letters: enough to count with."""
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def synthetic_rows(train: Path, out: Path, **settings: Any) -> list[dict[str, Any]]:
    """Rows of the synthesize step from a market part, written into a new folder `out`."""
    out.mkdir()
    synthesis = Synthesis(**{"rows": 200, **settings})
    synthesize(Source(train, whitespace_tokenizer(out), synthesis), out)
    return read_lines(out / "rows.jsonl")
