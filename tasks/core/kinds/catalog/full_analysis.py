"""full_analysis: the regime, the exposure, and a book of longs and a hedge.

Question: the market's numbers, and six to eight stocks with their PER, PBR and beta; or in a hurry
some of the numbers, or the regime alone, and no stocks.
Right answer: as few stocks as the limit per stock allows, in even weights that sum to the regime's
long gross, ordered by beta as the regime's stance wants them; an inverse fund bought if the regime
asks for a hedge. Without stocks the longs are index funds.
Mistake: the book of another regime, a hedge whose multiple is forgotten, a long in a bear market.
Grade: any book of the offered stocks that keeps the regime's bands, in effective exposure, and the
limit per stock is right, not only the one that training teaches.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.cards import (
    CONFIDENCE_CARD,
    EXPOSURE_CARD,
    PREFERENCE_CARD,
    USUAL_CARD,
    working_card,
)
from tasks.core.kinds.korean import forms
from tasks.core.kinds.lexicon import STOCK, printed
from tasks.core.kinds.schemas import (
    CONFIDENCE,
    MISSING_INPUTS,
    NET,
    REGIME,
    WORKING,
    Schema,
    arranged,
    closed,
    integer,
    listed,
    one_of,
    optional,
    stock_entry,
    text,
)
from tasks.core.kinds.valuation import telling_ratios, verdict
from tasks.core.kinds.words import unused, words_beside
from tasks.core.records.facts import Facts, Language, StockFacts
from tasks.core.strategy import holdings
from tasks.core.strategy.deciding import (
    Choice,
    Decision,
    confidence,
    exposures,
    missing_inputs,
    settled,
)
from tasks.core.strategy.rules import EXPOSURES, MAX_LONG_WEIGHT_PCT
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.universe import sector_of
from tasks.core.strategy.working import (
    confidence_working,
    exposure_working,
    market_working,
    orders_working,
    preference_working,
)

name = "full_analysis"
share = 0.22
needs = Needs(
    stocks=(6, 8),  # six carry STRONG_BULL's 100 % at 18 % each, eight its 130 %
    stock_numbers=("per", "pbr", "beta"),
    stock_asides=("ev_ebitda", "roe_pct", "f_score"),
    asides=("nav_100m_krw", "foreign_net_buy_100m_krw"),
    partial_share=0.12,
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language, the hurried ones aside: these are as many."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks for the regime and a book of the scene's stocks, or in a hurry for index funds."""
    if not scene.facts.stocks:
        return wording.ask(scene, _WORDS.texts["hurried"][scene.language])
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the regime and a book: longs of the regime's gross, and one hedge."""
    regime = regime or stated_regime(facts)
    allowed = exposures(regime, facts)
    longs = _longs(facts, regime, allowed.long_gross.value)
    hedge = []
    if allowed.index_short.value:
        hedge.append(holdings.fund_order(holdings.hedges()[0], allowed.index_short.value))
    return {
        "working": [
            market_working(facts, regime),
            confidence_working(facts),
            exposure_working(regime, facts),
            *_book_working(facts, regime, longs, hedge),
        ],
        "regime": regime,
        "confidence_pct": confidence(facts),
        "net_exposure_pct": Choice(holdings.exposure_of([*longs, *hedge]), *EXPOSURES[regime].net),
        "positions": {"long": longs, "hedge": hedge},
        **missing_inputs(facts),
    }


def _longs(facts: Facts, regime: str, long_gross: int) -> list[dict[str, Any]]:
    """Returns the offered stocks that make the long gross, or as much of it as so few can carry;
    index funds if none are offered.
    """
    if not facts.stocks:
        return holdings.index_longs(long_gross)
    carried = min(long_gross, MAX_LONG_WEIGHT_PCT * len(facts.stocks))
    return holdings.even_longs(holdings.preferred(facts, regime), carried)


def _book_working(
    facts: Facts, regime: str, longs: list[dict[str, Any]], hedge: list[dict[str, Any]]
) -> list[str]:
    """Returns the order of the stocks, the weights and their sum, and the hedge, a line each."""
    steps = []
    gross = holdings.exposure_of(longs)
    if longs and facts.stocks:
        added = "+".join(str(entry["weight_pct"]) for entry in longs)
        steps.append(preference_working(facts, regime, len(longs)))
        if gross < exposures(regime, facts).long_gross.value:
            steps.append(f"at most {len(facts.stocks)}*{MAX_LONG_WEIGHT_PCT}={gross}")
        steps.append(f"{gross}/{MAX_LONG_WEIGHT_PCT}: {len(longs)} longs, {added}={gross}")
    elif longs:
        steps.append(f"no stocks offered: {orders_working(longs)}; long {gross}")
    if hedge:
        sold = holdings.exposure_of(hedge)
        steps.append(f"hedge {orders_working(hedge)}; net {gross}{sold}={gross + sold}")
    return steps


card = f"""\
{CONFIDENCE_CARD}
{USUAL_CARD}
{EXPOSURE_CARD}
Longs: offered stocks only; as few as carry the long gross at <={MAX_LONG_WEIGHT_PCT}% each, even \
weights that sum to it (+-1); {PREFERENCE_CARD}.
No stocks offered: index funds long, {holdings.INDEX_FUND} x1; beyond 100% \
{holdings.LEVERAGED_FUND} x2.
Hedge: the index short as an inverse KOSPI fund that is bought (side BUY), \
{holdings.hedges()[0]} x-1; effective_pct = weight * multiple. Net = long + effective.
{working_card(decide)}"""

# How it is argued.

_REASON_LIMIT = 200
_QUOTED_RATIOS = {
    "per_x10": integer(6, 1999),
    "pbr_x100": integer(2, 4999),
    "ev_ebitda_x10": integer(1, 1999),
    "roe_pct_x10": integer(-1000, 2000),
    "f_score": integer(0, 9),
}
_STOCK = stock_entry(
    **_QUOTED_RATIOS, reason=text(_REASON_LIMIT), weight_pct=integer(1, MAX_LONG_WEIGHT_PCT)
)
_STOCK["required"] = ["ticker", "name", "reason", "weight_pct"]
_FUND = stock_entry(
    reason=text(_REASON_LIMIT),
    side=one_of("BUY"),
    weight_pct=integer(1, 100),
    effective_pct=integer(-80, 130),
)
schema: Schema = optional(
    closed(
        working=WORKING,
        regime=REGIME,
        confidence_pct=CONFIDENCE,
        reasoning=text(),
        net_exposure_pct=NET,
        positions=closed(long=listed({"anyOf": [_STOCK, _FUND]}, 10), hedge=listed(_FUND, 3)),
    ),
    missing_inputs=MISSING_INPUTS,
)


def answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    """Returns the regime and the book that training teaches, with a reason for each position.

    With a `regime`, it is the answer of someone who takes the market to be in that one.
    """
    return _with_reasons(scene, settled(decide(scene.facts, regime)), rng, regime)


def _with_reasons(
    scene: Scene, decision: Decision, rng: Random, claimed: str | None = None
) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language."""
    decision = wording.named(decision, scene.language)
    taught = exposures(decision["regime"], scene.facts).net.value
    # Few stocks may not carry what the breadth asks for: of such a book's net nothing is said.
    is_carried = decision["net_exposure_pct"] == taught
    tells_net = (scene.partial or rng.random() < 0.35) and is_carried
    decision["reasoning"] = wording.argue(
        scene, rng, claimed=claimed, turn=True, exposure=tells_net
    )
    _argue_positions(decision, scene, rng)
    return arranged(decision, schema)


def _argue_positions(decision: dict[str, Any], scene: Scene, rng: Random) -> None:
    """Gives each position its reason."""
    positions = decision["positions"]
    writer = _Writer(scene.language, decision["regime"], rng, set(), set())
    offered = {stock.ticker: stock for stock in scene.facts.stocks}
    for entry in positions["long"]:
        stock = offered.get(entry["ticker"])
        entry["reason"] = writer.of_stock(stock) if stock else writer.of_fund(entry, "index_fund")
    beside = "index_hedge"
    if not positions["long"]:
        beside = "bear"
    elif offered:
        beside = "hedge"
    for entry in positions["hedge"]:
        entry["reason"] = writer.of_fund(entry, beside)


@dataclass(frozen=True)
class _Writer:
    """Writes the reasons of one book; no sentence comes twice while others are left."""

    language: Language
    regime: str
    rng: Random
    used: set[str]
    sectors: set[str]  # of the stocks so far

    def of_stock(self, stock: StockFacts) -> str:
        """The stock's part in the book, and its valuation or quality if that is known."""
        sector = sector_of(stock.ticker)
        case = _role(stock.numbers["beta"], self.regime)
        if self.sectors and sector.name not in self.sectors and self.rng.random() < 0.3:
            case = "new_sector"
        self.sectors.add(sector.name)
        beta = printed("beta", stock.numbers["beta"], self.language)
        sector_name = sector.name_ko if self.language == "ko" else sector.name
        role = self._sentence(case).format(**forms("beta", beta), **forms("sector", sector_name))
        value = self._of_value(stock)
        return f"{role} {value}" if value else role

    def _of_value(self, stock: StockFacts) -> str:
        """What one of the stock's ratios says of its price or quality; empty if none says any."""
        verdicts = {ratio: verdict(ratio, stock) for ratio in telling_ratios(stock)}
        telling = [ratio for ratio, where in verdicts.items() if where != "usual"]
        if not verdicts or (not telling and self.rng.random() < _SILENT_SHARE):
            return ""
        ratio = self.rng.choice(telling or list(verdicts))
        case = _CASE_OF_VERDICT[ratio].get(verdicts[ratio])
        if case is None:
            return ""
        value = printed(ratio, stock.numbers[ratio], self.language)
        label = STOCK[ratio].of(self.language)
        return self._sentence(case).format(ratio=label, **forms("value", value))

    def of_fund(self, order: dict[str, Any], case: str) -> str:
        """Why the fund is bought, and how much of it."""
        if order["ticker"] == holdings.LEVERAGED_FUND:
            case = "leveraged_fund"
        return self._sentence(case).format(
            weight=order["weight_pct"],
            effective=order["effective_pct"],
            size=abs(order["effective_pct"]),
        )

    def _sentence(self, case: str) -> str:
        return unused(_WORDS.texts[case][self.language], self.used, self.rng)


_AS_THE_MARKET = 0.1
"""A beta that is no further from 1 moves as the market does."""


def _role(beta: float, regime: str) -> str:
    """Which texts speak of such a beta: calm is below 1, lively above."""
    if round(abs(beta - 1), 2) <= _AS_THE_MARKET:
        return "near"
    stance = {"MILD_BULL": "mild", "STRONG_BULL": "strong"}.get(regime, "weak")
    return f"{stance}_{'calm' if beta < 1 else 'lively'}"


_SILENT_SHARE = 0.5
"""Share of reasons that pass over a valuation which is as usual."""
_PRICE = {"below": "cheap", "usual": "fair", "above": "dear"}
_CASE_OF_VERDICT = {
    "per": _PRICE,
    "pbr": _PRICE,
    "ev_ebitda": _PRICE,
    "roe_pct": {"below": "low_roe", "above": "high_roe"},
    "f_score": {"below": "poor_quality", "above": "good_quality"},
}
"""The texts of a ratio by where it lies among its sector's; none if it is not worth a word."""


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist takes the market for another
    regime, counts a hedge wrong, or buys more or less than the regime allows.
    """

    def mistake() -> dict[str, Any]:
        wrong = settled(decide(scene.facts))
        if rng.random() < 0.5 and (_miscount_hedge(wrong, rng) or _leave_band(wrong, rng)):
            return _with_reasons(scene, wrong, rng)
        return answer(scene, rng, spoiling.other_regime(right["regime"], rng))

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _miscount_hedge(wrong: Decision, rng: Random) -> bool:
    """Counts a bought inverse fund as a long, or forgets another one's multiple. Returns whether
    there is a hedge.
    """
    for order in wrong["positions"]["hedge"]:
        if rng.random() < 0.7:
            order["effective_pct"] = order["weight_pct"]
            wrong["net_exposure_pct"] += 2 * order["weight_pct"]
        else:
            geared = [fund for fund in holdings.hedges() if holdings.multiple_of(fund) == -2]
            order["ticker"] = geared[0]
    return bool(wrong["positions"]["hedge"])


def _leave_band(wrong: Decision, rng: Random) -> bool:
    """Buys stocks beyond the regime's band, and sums it right. Returns whether each stock keeps its
    limit.
    """
    longs = [entry for entry in wrong["positions"]["long"] if "side" not in entry]
    least, most = EXPOSURES[wrong["regime"]].long_gross
    wanted = most + rng.randint(2, 6) if most < NET["maximum"] else least - rng.randint(2, 6)
    change = wanted - holdings.exposure_of(longs)
    wrong["net_exposure_pct"] += change
    for rank, entry in enumerate(longs):
        even = change // (len(longs) - rank)
        step = min(even, MAX_LONG_WEIGHT_PCT - entry["weight_pct"])
        entry["weight_pct"] += step
        change -= step
    return change == 0


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades as right any book of the offered stocks, or of index funds if none are offered, that
    keeps the regime's bands in effective exposure and the limit per stock.
    """
    decision = decide(scene.facts)
    del decision["positions"]  # the taught book is one of many right ones
    judged = grading.judge(scene, reply, schema, decision, ("tickers", "book", "exposure"))
    if judged.answer is None:
        return judged
    longs = judged.answer["positions"]["long"]
    hedge = judged.answer["positions"]["hedge"]
    band = EXPOSURES[decision["regime"]]
    parts = dict(judged.parts)
    parts["tickers"] = _is_offered(longs, scene) and grading.pairs_exist([*longs, *hedge])
    parts["book"] = holdings.adds_up([*longs, *hedge], judged.answer["net_exposure_pct"])
    # A book that does not add up is a flaw already, and says nothing of the exposure meant.
    in_bands = not parts["book"] or _is_within(holdings.exposure_of(longs), band.long_gross)
    in_bands = in_bands and _is_within(-holdings.exposure_of(hedge), band.index_short)
    keeps_rules = holdings.keeps_limit(longs) and holdings.knows_multiples([*longs, *hedge])
    keeps_rules = keeps_rules and holdings.are_funds_of(hedge, "short_kospi")
    parts["exposure"] = parts["exposure"] and in_bands and keeps_rules
    parts["grounded"] = parts["grounded"] and holdings.quotes_ratios(longs, scene.facts.stocks)
    return grading.graded(parts, judged.parts, judged.answer)


def _is_offered(longs: list[dict[str, Any]], scene: Scene) -> bool:
    """Whether the question offers every long, or it is an index fund and none are offered."""
    offered = {stock.ticker for stock in scene.facts.stocks} or holdings.index_funds()
    return all(entry["ticker"] in offered for entry in longs)


def _is_within(exposure: int, band: tuple[int, int]) -> bool:
    """Whether an exposure in % lies in the band, or a point of rounding beside it."""
    return band[0] - 1 <= exposure <= band[1] + 1
