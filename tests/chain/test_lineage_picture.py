"""The picture of a lineage is whole in itself, says everything, and no line crosses a box."""

import re
from itertools import combinations
from xml.etree import ElementTree

from tasks.core.chain.lineage_picture import Card, draw, letters, shortened, wrapped

SVG = "{http://www.w3.org/2000/svg}"


def card(number, *reads, **fields):
    told = {"lines": ("12 MB",), "notes": ("seed=42",), "hint": "all of it"} | fields
    return Card(f"step{number}", f"{number:024x}", "2026-11-30 05:29 UTC", reads=reads, **told)


def chain():
    """Everybody reads the first; each reads the one before it; the last reads all."""
    cards = [card(0), card(1, 0)]
    cards += [card(number, 0, number - 1) for number in range(2, 9)]
    return [*cards, card(9, *range(9))]


def parse(cards, title="What stands behind kospi:1", summary=("Market: 3 days",)):
    return ElementTree.fromstring(draw(title, summary, cards))


def lines_of(picture):
    """From (x, y), over the lane's x, to (x, y), of every line."""
    numbers = []
    for path in picture.iter(f"{SVG}path"):
        if path.find(f"{SVG}title") is not None:
            numbers.append([float(number) for number in re.findall(r"[\d.]+", path.get("d"))])
    return numbers


def boxes_of(picture):
    rects = [box for group in picture.iter(f"{SVG}g") for box in group.findall(f"{SVG}rect")[:1]]
    return [(float(box.get("x")), float(box.get("y")), float(box.get("height"))) for box in rects]


def test_every_box_and_every_reading_is_drawn():
    cards = chain()
    picture = parse(cards)
    assert len(boxes_of(picture)) == len(cards)
    assert len(lines_of(picture)) == sum(len(drawn.reads) for drawn in cards)
    told = "".join(picture.itertext())
    assert all(drawn.key in told and "all of it" in told for drawn in cards)
    assert "step9 reads step3 " + f"{3:024x}" in told


def test_boxes_stand_apart_and_no_line_crosses_one():
    picture = parse(chain())
    boxes = boxes_of(picture)
    for (left, top, height), (_, below, _) in zip(boxes, boxes[1:], strict=False):
        assert top + height < below
        assert all(number[2] < left for number in lines_of(picture))  # the lane's curve
    assert float(picture.get("height")) > boxes[-1][1] + boxes[-1][2]


def test_lines_of_two_sources_never_run_over_one_another():
    lanes = {}
    for numbers in lines_of(parse(chain())):
        lane, source, end = numbers[3], numbers[1], numbers[-2]
        lanes.setdefault(lane, {}).setdefault(source, []).append(end)
    for readings in lanes.values():
        spans = [(source, max(ends)) for source, ends in readings.items()]
        for (start, end), (other_start, other_end) in combinations(sorted(spans), 2):
            assert end < other_start or other_end < start


def test_arrows_into_one_box_end_inside_it_and_apart():
    picture = parse(chain())
    (_, top, height) = boxes_of(picture)[-1]
    ends = [numbers[-2] for numbers in lines_of(picture) if top < numbers[-2]]
    assert len(set(ends)) == 9
    assert max(ends) < top + height


def test_nothing_outside_the_file_is_referred_to():
    hostile = 'a<script>alert(1)</script>&"\x00\x1b\ufffe'
    cards = [card(0, lines=(hostile,), notes=(hostile,), hint=hostile, warning=hostile)]
    text = draw(hostile, [hostile], cards)
    picture = ElementTree.fromstring(text)
    tags = {element.tag.removeprefix(SVG) for element in picture.iter()}
    assert tags <= {"svg", "title", "rect", "g", "path", "text"}
    assert re.findall(r"(?:href|src|url|https?:)[^\s]*", text) == ['http://www.w3.org/2000/svg"']


def test_long_lists_end_with_how_many_more():
    items = [f"name{number}=value" for number in range(40)]
    lines = wrapped(items, 60, 2)
    assert len(lines) == 2 and all(letters(line) <= 60 for line in lines)
    shown = sum(line.count("=") for line in lines)
    assert lines[-1].endswith(f" and {40 - shown} more")
    assert wrapped(items[:3], 60, 2) == ("name0=value, name1=value, name2=value",)
    assert wrapped([], 60, 2) == ()


def test_korean_letters_count_twice():
    assert shortened("시장" * 10, 11) == "시장시장시…"
    assert wrapped(["시장" * 40, "b"], 20, 2) == ("시장시장시장시장시…", "b")
