"""The checker against rows with one thing changed: a mutant that is untrue must be caught, a true
one must pass.

What makes a mutant untrue is decided without the checker and without reading its text:
- a number or word of the question changed: true only if the generator, given the changed facts and the same seed,
  writes the very same answer (the number neither decides anything nor is quoted);
- anything else changed, in the answer or in the form of the question: untrue.

What survives (it is printed) is rare, and of two classes: a wrong number in a text that is another
true one of the same matter (a 16% index short told as the 15% of taking profits), which only its
words would give away; and a changed number that gives the answer a second ground beside the one it
names (in a bear market every position goes, stopped or not).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from tasks.core.kinds import kind_named, lexicon
from tasks.core.kinds.base import scene_from_dict, system_prompt
from tasks.core.kinds.grading import PROSE_KEYS, to_text
from tasks.core.kinds.lexicon import CONTEXT, MARKET, STOCK, STOCK_WORDS, printed
from tasks.core.strategy.events import events
from tasks.core.strategy.rules import REGIMES, SHOCKS
from tasks.core.strategy.universe import names, stocks
from tasks.core.synthesis.checks import check_row
from tests.synthetic import demo_market, synthetic_rows

ROWS = 200
RIGHT_RULES = {
    "answer number": {"decision", "schema"},
    "answer value": {"decision", "regime", "schema"},
    "answer key": {"schema", "decision"},
    "answer ticker": {"tickers", "decision", "names"},
    "answer name": {"names"},
    "text number": {"grounded", "argued"},
    "text regime": {"argued"},
    "text language": {"language"},
    "text script": {"hanja"},
    "question number": {"decision", "regime", "tickers", "grounded", "argued", "prompt"},
    "question word": {"decision", "regime", "tickers", "grounded", "argued", "schema"},
    "question label": {"prompt"},
    "question date": {"date"},
    "question ticker": {"names"},
    "question name": {"names"},
    "question language": {"language", "system"},
    "question script": {"hanja"},
    "system": {"system"},
}
"""Which rules may name each sort of untruth; one of them must."""


@dataclass(frozen=True)
class Mutant:
    sort: str
    what: str
    row: dict[str, Any]
    true: bool = False


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    return synthetic_rows(demo_market(folder) / "train", folder / "out", rows=ROWS)


def with_text(row, place, text):
    messages = [*row["messages"]]
    messages[place] = {**messages[place], "content": text}
    return {**row, "messages": messages}


def leaves(value, path=()) -> Iterator[tuple[tuple, Any]]:
    entries = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, entry in entries:
        if isinstance(entry, dict | list):
            yield from leaves(entry, (*path, key))
        else:
            yield (*path, key), entry


def changed(value, path, new):
    """A copy with the entry at a path replaced, or removed or renamed where `new` is a function of
    (box, key).
    """
    copy = json.loads(json.dumps(value))
    box = copy
    for key in path[:-1]:
        box = box[key]
    if callable(new):
        new(box, path[-1])
    else:
        box[path[-1]] = new
    return copy


def schema_at(schema, path):
    for key in path:
        schema = schema["items"] if isinstance(key, int) else schema["properties"][key]
    return schema


def nudged(text, rng):
    """A printed number with its last digit moved by one."""
    digits = text.replace(",", "")
    decimals = len(digits.partition(".")[2])
    value = float(digits) + rng.choice((-1, 1)) * 10**-decimals
    return f"{value:{'+' if text[0] == '+' else ''}.{decimals}f}"


def in_answers(row, rng) -> Iterator[Mutant]:
    subject, answer = kind_named(row["metadata"]["kind"]), json.loads(row["messages"][2]["content"])

    def mutant(sort, path, new, how=""):
        told = changed(answer, path, new)
        return Mutant(sort, f"{'.'.join(map(str, path))} {how}", with_text(row, 2, to_text(told)))

    for path, value in leaves(answer):
        key = path[-1]
        if isinstance(value, int):
            for new in (value + rng.choice((-1, 1)), -value if value else 7, value * 10 + 1):
                yield mutant("answer number", path, new)
        elif key == "ticker":
            other = rng.choice([known.ticker for known in stocks() if known.ticker != value])
            yield mutant("answer ticker", path, other)
            yield mutant("answer ticker", path, f"99{rng.randint(1000, 9999)}")
        elif key == "name":
            yield mutant(
                "answer name",
                path,
                rng.choice([k.name_ko for k in stocks() if value not in names(k.ticker)]),
            )
        elif key in PROSE_KEYS:
            yield from in_text(value, path, mutant, row, rng)
        else:
            choices = [one for one in schema_at(subject.schema, path)["enum"] if one != value]
            yield mutant("answer value", path, rng.choice(choices))
            yield mutant("answer value", path, value.swapcase())
    keys = {leaf[:depth] for leaf, _ in leaves(answer) for depth in range(1, len(leaf) + 1)}
    for path in sorted(keys, key=str):
        if isinstance(path[-1], str):
            yield mutant("answer key", path, lambda box, key: box.pop(key))
            yield mutant("answer key", path, lambda box, key: box.update({f"{key}_": box.pop(key)}))


NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?")
LABELS_WITH_DIGITS = [label.of(lang) for label in {**MARKET, **CONTEXT}.values() for lang in ("ko", "en")
                      if re.search(r"\d", label.of(lang))]  # fmt: skip


def in_text(text, path, mutant, row, rng) -> Iterator[Mutant]:
    masked = re.sub(
        "|".join(map(re.escape, LABELS_WITH_DIGITS)), lambda found: "#" * len(found[0]), text
    )
    for found in NUMBER.finditer(masked):
        new = nudged(found[0], rng)
        told = text[: found.start()] + new + text[found.end() :]
        yield mutant("text number", path, told, f"{found[0]} -> {new} in: {text}")
    for found in re.finditer("|".join(REGIMES), text):
        other = rng.choice([regime for regime in REGIMES if regime != found[0]])
        yield mutant("text regime", path, text[: found.start()] + other + text[found.end() :])
    yield mutant("text script", path, text.replace(" ", " 市場 ", 1))
    other = (
        "The market return decides."
        if row["metadata"]["language"] == "ko"
        else "시장 수익률로 정한다."
    )
    yield mutant("text language", path, other)


def in_questions(row, rng) -> Iterator[Mutant]:
    scene, question = scene_from_dict(row["metadata"]["scene"]), row["messages"][1]["content"]
    subject, answer = kind_named(scene.kind), row["messages"][2]["content"]

    def mutant(sort, what, old, new, facts=None):
        """The question with one text replaced; with changed facts it is true if they lead to the
        same answer.
        """
        assert question.count(old) == 1, (old, question)
        true = False
        if facts is not None:
            other = replace(scene, facts=facts)
            try:
                same = to_text(subject.answer(other, Random(scene.seed))) == answer
                true = same and other.regime == row["metadata"]["regime"]
            except (IndexError, KeyError):
                true = False  # no answer follows from such facts
        return Mutant(sort, what, with_text(row, 1, question.replace(old, new)), true)

    yield from in_numbers(scene, mutant, rng)
    yield from in_stocks(scene, question, mutant, rng)
    yield from in_words(scene, mutant, rng)
    if scene.date:
        year, month, day = scene.date.split("-")
        for new in (f"{int(year) + 1}-{month}-{day}", f"{year}-{month}-{int(day) % 28 + 1:02d}"):
            yield mutant("question date", scene.date, scene.date, new)
    else:
        yield Mutant("question date", "added", with_text(row, 1, question + "\n2024-05-02"))
    yield Mutant("question script", "", with_text(row, 1, question.replace(" ", " 市場 ", 1)))
    other = "en" if scene.language == "ko" else "ko"
    translated = subject.ask(replace(scene, language=other), Random(scene.seed))
    yield Mutant("question language", other, with_text(row, 1, translated))
    yield Mutant("system", other, with_text(row, 0, system_prompt(other)))


def in_numbers(scene, mutant, rng) -> Iterator[Mutant]:
    language = scene.language
    for name, value in scene.facts.numbers.items():
        label = {**MARKET, **CONTEXT}[name].of(language)
        between = {"bullets": ": ", "table": " | "}.get(scene.layout, " ")
        old = f"{label}{between}{printed(name, value, language)}"
        for new in moved(name, value, rng):
            told = f"{label}{between}{printed(name, new, language)}"
            facts = replace(scene.facts, numbers={**scene.facts.numbers, name: new})
            yield mutant("question number", f"{name} {value} -> {new}", old, told, facts)
        yield mutant("question label", name, old, old.replace(label, label[:-1]))


def moved(name, value, rng):
    """The same number moved by its last digit, and further."""
    label = {**MARKET, **CONTEXT, **STOCK}[name]
    step = 10.0**-label.decimals
    for steps in (rng.choice((-1, 1)), rng.choice((-1, 1)) * rng.randint(5, 400)):
        new = round(value + steps * step, label.decimals) + 0.0
        if not label.signed and name not in MARKET and name != "net_now_pct":
            new = abs(new)
        if name == "breadth_pct":
            new = min(max(new, 0.0), 100.0)
        if new != value:
            yield new


def in_stocks(scene, question, mutant, rng) -> Iterator[Mutant]:
    lines = {
        line.ticker: text
        for line in scene.facts.stocks
        for text in question.splitlines()
        if line.ticker in text
    }
    for place, line in enumerate(scene.facts.stocks):
        text = lines[line.ticker]
        name = next(found for found in names(line.ticker) if f"{found}({line.ticker})" in text)
        other = rng.choice([known for known in stocks() if known.ticker not in lines])
        yield mutant("question ticker", line.ticker, text, text.replace(line.ticker, other.ticker))
        yield mutant(
            "question ticker",
            line.ticker,
            text,
            text.replace(line.ticker, f"99{rng.randint(1000, 9999)}"),
        )
        yield mutant("question name", name, text, text.replace(f"{name}(", f"{other.name_ko}("))
        for key, value in line.numbers.items():
            label = STOCK[key].of(scene.language)
            old = f"{label} {printed(key, value, scene.language)}"
            for new in moved(key, value, rng):
                told = text.replace(old, f"{label} {printed(key, new, scene.language)}")
                facts = with_line(
                    scene.facts, place, replace(line, numbers={**line.numbers, key: new})
                )
                yield mutant("question number", f"{key} {value} -> {new}", text, told, facts)
            yield mutant("question label", key, text, text.replace(f"{label} ", f"{label[:-1]} "))
        for key, value in line.words.items():
            label, values = STOCK_WORDS[key]
            new = rng.choice([one for one in values if one != value])
            old = f"{label.of(scene.language)} {values[value].of(scene.language)}"
            told = text.replace(old, f"{label.of(scene.language)} {values[new].of(scene.language)}")
            facts = with_line(scene.facts, place, replace(line, words={**line.words, key: new}))
            yield mutant("question word", f"{key} {value} -> {new}", text, told, facts)
            yield mutant("question label", key, text, text.replace(label.of(scene.language), "?"))


def with_line(facts, place, line):
    return replace(facts, stocks=(*facts.stocks[:place], line, *facts.stocks[place + 1 :]))


def in_words(scene, mutant, rng) -> Iterator[Mutant]:
    called = {
        "previous_regime": {regime: regime for regime in REGIMES},
        "shock": {shock: lexicon.SHOCKS[shock].of(scene.language) for shock in SHOCKS},
        "event": {e.name: e.ko if scene.language == "ko" else e.en for e in events()},
    }
    for name, value in scene.facts.words.items():
        new = rng.choice([one for one in called[name] if one != value])
        facts = replace(scene.facts, words={**scene.facts.words, name: new})
        yield mutant(
            "question word",
            f"{name} {value} -> {new}",
            called[name][value],
            called[name][new],
            facts,
        )


def test_no_true_row_is_refused(rows):
    assert len({(row["metadata"]["kind"], row["metadata"]["language"]) for row in rows}) == 24
    assert [problem for row in rows for problem in check_row(row)] == []


def test_untrue_rows_are_caught_by_the_right_rule(rows):
    rng, made, survivors, misnamed, alarms = Random(7), Counter(), [], [], []
    for row in rows:
        for mutant in (*in_answers(row, rng), *in_questions(row, rng)):
            found = {rule for rule, _ in check_row(mutant.row)}
            made[mutant.sort, mutant.true] += 1
            if mutant.true:
                alarms += [(mutant, found)] if found else []
            elif not found:
                survivors.append(mutant)
            elif not found & RIGHT_RULES[mutant.sort]:
                misnamed.append((mutant, found))
    show(made, survivors, misnamed, alarms)
    untrue = sum(number for (_, true), number in made.items() if not true)
    assert len(survivors) <= 0.01 * untrue
    escaped = Counter(mutant.sort for mutant in survivors)
    assert all(escaped[sort] <= 0.04 * made[sort, False] for sort in RIGHT_RULES), escaped
    assert not misnamed and not alarms


def show(made, survivors, misnamed, alarms):
    escaped = Counter(mutant.sort for mutant in survivors)
    print()
    for sort in RIGHT_RULES:
        print(
            f"{sort:18} {made[sort, False]:6} untrue, {escaped[sort]:3} survive; {made[sort, True]:5} stay true"
        )
    for mutant in survivors:
        print("survives:", mutant.row["metadata"]["kind"], mutant.sort, mutant.what)
    for mutant, found in [*misnamed, *alarms]:
        print("true, yet refused:" if mutant.true else "misnamed:", mutant.row["metadata"]["kind"], mutant.sort,
              mutant.what, sorted(found))  # fmt: skip
