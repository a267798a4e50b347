"""What a kind is: one skill of the model, stated once and used for training, preference pairs and
evaluation.

Also what the kinds share as data: the scene that a question is drawn from, the grade of a reply,
and the system prompt. Reads and writes no file.
"""

from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, Literal, Protocol

from tasks.core.records.facts import Facts, Language, StockFacts
from tasks.core.records.logs import Log
from tasks.core.strategy.deciding import Decision
from tasks.core.strategy.rules import EXPOSURES
from tasks.core.strategy.stated import missing_numbers, stated_regime

Answer = dict[str, Any]
"""An answer of the model, read as JSON."""
Layout = Literal["bullets", "sentence", "compact", "table"]
Flaw = Literal["strategy_violation", "quality_degradation", "schema_violation", "hallucination"]
FLAWS: tuple[Flaw, ...] = (
    "strategy_violation",
    "quality_degradation",
    "schema_violation",
    "hallucination",
)

FLAW_OF_PART: dict[str, Flaw] = {
    "json": "schema_violation",
    "schema": "schema_violation",
    "working": "strategy_violation",
    "regime": "strategy_violation",
    "exposure": "strategy_violation",
    "actions": "strategy_violation",
    "tickers": "hallucination",
    "grounded": "hallucination",
    "argued": "quality_degradation",
    "language": "quality_degradation",
    "book": "quality_degradation",
}
"""Which flaw a failed part of a grade speaks of."""


@dataclass(frozen=True)
class Scene:
    """Everything a prompt may say, and in which words."""

    kind: str
    language: Language
    template: int
    layout: Layout
    date: str | None  # YYYY-MM-DD, as the question says it; None if it names no day
    facts: Facts
    simulated: tuple[str, ...] = ()  # names of the facts that come from no data
    # of tier, beta and US correlation: "measured", "table", or "measured and table"
    origins: dict[str, str] = field(default_factory=dict)
    seed: int = 0  # of the wording
    day: str | None = None  # the real day of the market's numbers; None if they are simulated
    # What was answered, if the scene was given with its answer and not drawn, in the kind's keys.
    given: dict[str, Any] | None = None

    @property
    def regime(self) -> str:
        """The rule's regime of the numbers that the question states."""
        return stated_regime(self.facts)

    @property
    def partial(self) -> bool:
        """Whether the question states only some of the market's numbers."""
        return bool(missing_numbers(self.facts))


@dataclass(frozen=True)
class Grade:
    """How right a reply is: 1.0 if every part passes. Parts that could not be judged are absent."""

    score: float
    parts: dict[str, bool] = field(default_factory=dict)
    reason: str = ""
    answer: Answer | None = None  # the reply read as JSON, if it is valid

    @property
    def flaws(self) -> set[Flaw]:
        """The flaws that the failed parts speak of."""
        return {FLAW_OF_PART[part] for part, passed in self.parts.items() if not passed}


@dataclass(frozen=True)
class Needs:
    """What a kind's question must say beside the market's numbers. Names are the lexicon's."""

    stocks: tuple[int, int] = (0, 0)  # fewest and most
    stock_numbers: tuple[str, ...] = ()
    stock_words: tuple[str, ...] = ()
    funds: tuple[str, ...] = ()  # groups of ETFs; one or two ETFs of each group are offered
    numbers: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # of previous_regime, event, shock
    asides: tuple[str, ...] = ()  # numbers that some questions mention and others do not
    stock_asides: tuple[str, ...] = ()  # numbers of stocks that some undated questions mention
    # Share of hurried questions: they state only some of the market's numbers or the regime alone,
    # and offer no stocks.
    partial_share: float = 0.0
    # Whether its scenes are given with their answers (GivenKind) and never drawn. Its questions may
    # quote notes (Facts.words), and its answers' texts are judged as a model's, not as ours.
    given: bool = False


class Kind(Protocol):
    """One skill. The generator, the pair builder and the evaluator know nothing but this."""

    name: str
    share: float  # of the synthetic rows; the drawn ones sum to 1, a given one has 0
    needs: Needs
    schema: dict[str, Any]
    card: str  # of the rules: every constant that decides an answer, a few lines of ASCII

    def templates(self, language: Language) -> tuple[str, ...]:
        """Returns the ways to ask, of which the last are kept for evaluation."""

    def ask(self, scene: Scene, rng: Random) -> str:
        """Returns the question."""

    def decide(self, facts: Facts, regime: str | None = None) -> Decision:
        """Returns the right answer without its prose, a pure function of what the question says.

        `working` comes first. With a `regime`, it is what would be right if that regime held: what
        a mistaken reader decides.
        """

    def answer(self, scene: Scene, rng: Random) -> Answer:
        """Returns the right answer that training teaches."""

    def spoil(self, scene: Scene, answer: Answer, how: Flaw, rng: Random) -> str:
        """Returns the right answer as text, with one flaw."""

    def grade(self, scene: Scene, reply: str) -> Grade:
        """Grades any reply to the question."""


class GivenKind(Kind, Protocol):
    """A kind whose scenes come from a live system's logs, each with what the log answered."""

    def scene_of(self, log: Log, template: int, seed: int) -> Scene:
        """Returns the scene of a log, to be asked about in the words of a template."""

    def beside(self, scene: Scene, reply: str) -> dict[str, float]:
        """Returns what is reported of any reply beside its grade, and decides nothing: figures from
        0 to 1, by their names in reports.
        """


def scene_to_dict(scene: Scene) -> dict[str, Any]:
    """Returns the scene as JSON can hold it.

    It uses vars, because asdict copies every value, which is a tenth of the time of a row.
    """
    stocks = [vars(stock) for stock in scene.facts.stocks]
    raw = {**vars(scene), "facts": {**vars(scene.facts), "stocks": stocks}}
    if scene.given is None:
        del raw["given"]
    return raw


def scene_from_dict(raw: dict[str, Any]) -> Scene:
    """Returns the scene that scene_to_dict made a dict of."""
    stocks = tuple(StockFacts(**stock) for stock in raw["facts"]["stocks"])
    facts = Facts(**{**raw["facts"], "stocks": stocks})
    return Scene(**{**raw, "facts": facts, "simulated": tuple(raw["simulated"])})


REGIME_RULE = """\
Regime = the first rule that holds (return r, breadth b, momentum m, volatility v, all %):
1 BEAR: r<-2, b<30, m<-5
2 SHORT_TERM_STRESS: r<-1.5, v>25
3 STRONG_BULL: r>1, b>65, m>3
4 WEAKENING: r<0, 35<=b<=50
5 MILD_BULL: r>0, b>50
6 else r<-1 SHORT_TERM_STRESS, r<0 WEAKENING, r>=0 MILD_BULL"""
"""strategy.rules.rule_of in words; a test holds the two together."""


@cache
def system_prompt(language: Language) -> str:
    """Returns the strategy prompt: the very same message in the rows of Stages 2 and 3, in the
    evaluation and in the Modelfile's SYSTEM.

    All but its first sentence is the same in both languages, and ASCII: it is in every row, and
    Korean costs the demo's tokenizer 1.7 tokens a character.
    """
    lines = [_ROLE[language], REGIME_RULE, "Bands (% of NAV): long, short, net"]
    for regime, bands in EXPOSURES.items():
        spans = map(_span, (bands.long_gross, bands.index_short, bands.net))
        lines.append(f"{regime}: {', '.join(spans)}")
    return "\n".join(lines)


_ROLE = {
    "ko": (
        "한국 주식 전략가로서 먼저 working에 계산을 적고 국면과 조치를 정해 JSON으로만 답한다. "
        "근거는 질문의 숫자로 든다."
    ),
    "en": (
        "You are a Korean-equity strategist. Show the working first, then decide; answer in JSON "
        "only, arguing from the question's numbers."
    ),
}


ANALYST_PROMPT = (
    "You are a Korean-equity strategist. Answer as an analyst would, from the facts given."
)
"""What stands in for a blank system prompt of Stage 1's rows: the strategist's role, without JSON.
Stage 1's answers are prose, and under the served prompt they would unteach what Stage 2 teaches.
"""


def _span(band: tuple[int, int]) -> str:
    low, high = band
    return str(low) if low == high else f"{low}~{high}"
