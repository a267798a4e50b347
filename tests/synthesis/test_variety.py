"""Variety is measured on texts alone, and another number makes no other phrase."""

import json
from random import Random

import pytest

from tasks.core.kinds import kind_named
from tasks.core.kinds.texts import to_text
from tasks.core.synthesis.variety import LEAST_SKELETONS, Variety
from tests.synthetic import LANGUAGES, made_up_days, scenes_of


def variety(rows):
    found = Variety()
    for row in rows:
        found.add(row)
    return found.report()


def row(kind, language, *reasons):
    answer = {
        "regime": "BEAR",
        "entries": [{"ticker": "005930", "reason": reason} for reason in reasons],
    }
    return {
        "messages": [{"role": "assistant", "content": json.dumps(answer)}],
        "metadata": {"kind": kind, "language": language},
    }


def test_openings_are_of_the_first_text_with_digits_masked():
    rows = [
        row("k", "en", "At 3.1% it stays here.", "Another text."),
        row("k", "en", "At 12.9% it stays there."),
        row("k", "en", "Sold at the stop of 8%."),
        row("k", "ko", "손익 3%로 그대로 둔다."),
    ]
    told = variety(rows)["commonest_opening"]["k"]
    assert told["en"] == {"share": 0.6667, "words": "At #.#% it stays"}
    assert told["ko"]["share"] == 1


def test_phrases_are_counted_once_and_per_1000_rows():
    same = [row("k", "en", "one two three four 5"), row("k", "en", "one two three four 6")]
    assert variety(same)["phrases_per_1000_rows"] == {"en": 1000}
    assert variety([*same, row("k", "en", "quite another text than that")])[
        "phrases_per_1000_rows"
    ] == {"en": 1333}


def test_the_report_beside_the_rows_tells_it(made):
    told = json.loads((made / "report.json").read_text())["variety"]
    assert set(told["phrases_per_1000_rows"]) == {"ko", "en"}
    assert len(told["commonest_opening"]) == 12


def test_skeletons_are_sentences_without_their_numbers_and_names():
    rows = [
        row("k", "en", "Samsung Electronics is sold at -8.1%. It is a stop."),
        row("k", "en", "Kia is sold at -9.3%. It is a stop."),
        row("k", "en", "Kia stays."),
    ]
    assert variety(rows)["skeletons"]["k"] == {"entries.reason": {"en": 3}}


@pytest.mark.parametrize(
    "kind", ["full_analysis", "multi_step", "opening_momentum", "overnight_gap", "what_if"]
)
def test_the_texts_with_the_fewest_ways_have_enough(kind):
    """multi_step said its risk limits in 19 sentences, and full_analysis why it hedges in 28."""
    found, days, drawn = Variety(), made_up_days(), kind_named(kind)
    for language in LANGUAGES:
        for scene in scenes_of(drawn, days, language, 250):
            answer = drawn.answer(scene, Random(scene.seed))
            found.add(
                {
                    "messages": [{"role": "assistant", "content": to_text(answer)}],
                    "metadata": {"kind": kind, "language": language},
                }
            )
    for text, counts in found.report()["skeletons"][kind].items():
        assert min(counts.values()) >= LEAST_SKELETONS, text
