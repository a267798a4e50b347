"""Invented markets, whose days lend synthetic rows more numbers than one real market's days have.

Each is a market as the demo's, of other prices; the demo's own is never among them. Every fourth
has all stocks of the universe, so that its breadth takes other steps than the demo's 2.5 %.
"""

import shutil
from pathlib import Path

from tasks.core.market.artifact import write_days
from tasks.core.market.demo import STOCKS, generate_demo_market
from tasks.core.records.artifacts import Progress
from tasks.core.strategy.universe import stocks

_FIRST_SEED = 10_000  # far above the demo market's
_WHOLE_UNIVERSE = 4


def write_invented(folder: Path, number: int, seed: int, progress: Progress) -> list[Path]:
    """Writes so many markets' days below `folder`, each as a part of a market artifact; returns
    the parts. The same seed gives the same days.
    """
    parts = []
    for index in range(1, number + 1):
        progress(index / number, f"invented market {index} of {number}")
        count = len(stocks()) if index % _WHOLE_UNIVERSE == 0 else STOCKS
        prices = folder / "prices"
        generate_demo_market(prices, _FIRST_SEED + 1_000 * seed + index, count)
        parts.append(folder / f"{index:04}")
        write_days(prices, parts[-1])
        shutil.rmtree(prices)
    return parts
