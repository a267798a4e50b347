"""The measures of an evaluation, and the models' figures in rows, as table and chart show them."""

from dataclasses import dataclass
from typing import Any

MEASURES = {
    "fully_right": "fully right",
    "valid_json": "valid JSON",
    "schema_valid": "obeys the schema",
    "working": "working right",
    "regime_accuracy": "regime right",
    "exposure_in_band": "exposure in band",
    "valid_tickers": "tickers exist, names match",
    "grounded": "numbers are grounded",
    "korean_rationale": "Korean rationale, no Hanja",
    "flips": "verdict flips over a limit",
    "steady": "names do not matter",
    "grade": "mean grade",
}
"""Every measure's name in the JSON and in words; all are 0..1. `fully_right` is the headline."""

LANGUAGES = {"ko": "Korean", "en": "English"}

Figures = dict[str, Any]
"""What score.score says of one model."""


@dataclass(frozen=True)
class Row:
    """One figure of several models, in their order."""

    words: str
    estimates: list[dict[str, Any]]  # statistics.estimate's

    @property
    def applies(self) -> bool:
        """Whether any question asks for it."""
        return any(estimate["n"] for estimate in self.estimates)


def share_rows(models: list[Figures]) -> list[Row]:
    """Returns one row for each measure that is a share of the replies, and one for each figure that
    some kinds report beside their grade. Of rows' questions, which have no regime, only what they
    ask for has one.
    """
    rows = []
    for name, words in MEASURES.items():
        row = _row(words, models, "measures", name)
        if name != "grade" and (models[0]["regimes"] or row.applies):
            rows.append(row)
    for name in models[0].get("beside", {}):
        rows.append(_row(name, models, "beside", name))
    return rows


def grade_rows(models: list[Figures]) -> list[Row]:
    """Returns a row of the mean grade over all kinds, then one of each language's, of each regime's
    and of each kind's.
    """
    rows = [_row("all kinds", models, "measures", "grade")]
    for language, words in LANGUAGES.items():
        if language in models[0]["languages"]:
            rows.append(_row(words, models, "languages", language))
    for regime in models[0]["regimes"]:
        rows.append(_row(regime, models, "regimes", regime))
    kinds: set[str] = set()
    for figures in models:
        kinds.update(figures["kinds"])
    for kind in sorted(kinds):
        rows.append(_row(kind, models, "kinds", kind))
    return rows


def _row(words: str, models: list[Figures], part: str, name: str) -> Row:
    return Row(words, [figures[part][name] for figures in models])


def signed(difference: float) -> str:
    """Writes a difference of grades with its sign: +0.375, −0.079."""
    return f"{difference:+.3f}".replace("-", "−")
