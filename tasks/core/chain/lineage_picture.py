"""Draws a lineage as SVG: a box for each artifact, and a line from it to each of its readers.

The boxes stand below one another, what is read above its readers. At their left every artifact that
is read has a lane: a line that leaves its box, runs down and ends with an arrow in each reader's
box. So no line ever crosses a box, whatever reads what. Nothing outside the file is referred to.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from tasks.core.colors import FAINT, INK, SERIES

_WIDTH = 800  # of a box; all lengths are in pixels
_MARGIN = 28
_GAP = 20  # between two boxes
_LANE = 17  # from one lane to the next
_PORT = 11  # between two arrows into one box
_HEAD = 34  # of a box, with its title
_LINE = 17
_ROUND = 7
_BACKGROUND, _PAPER, _BORDER = "#f7f8fa", "#ffffff", "#cbd2d9"
_WARNING = SERIES[3]
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Card:
    """What a box says, and the numbers of the boxes that it reads, which come before it."""

    title: str
    key: str
    date: str
    lines: tuple[str, ...]  # what it came to
    notes: tuple[str, ...]  # in small letters
    hint: str  # shown where the pointer rests
    reads: tuple[int, ...]
    warning: str = ""
    is_gone: bool = False


def draw(title: str, summary: Sequence[str], cards: Sequence[Card]) -> str:
    """Returns the picture; the last card is the one whose lineage it is."""
    readers = _readers(cards)
    lanes = _lanes(readers)
    left = _MARGIN + _LANE * (1 + max(lanes.values(), default=-1)) + 14
    boxes = _boxes(cards, left, _MARGIN + 44 + 22 * len(summary))
    graph = _Graph(cards, boxes, lanes)
    size = (left + _WIDTH + _MARGIN, boxes[-1].bottom + _MARGIN)
    picture = _canvas(title, size)
    _write(picture, title, (_MARGIN, _MARGIN + 18), "font-size:21px;font-weight:600")
    for number, line in enumerate(summary):
        _write(picture, line, (_MARGIN, _MARGIN + 48 + 22 * number), "font-size:14px")
    for source in sorted(readers, key=lambda source: -lanes[source]):
        for reader in readers[source]:
            _draw_line(picture, graph, source, reader)
    for number, card in enumerate(cards):
        color = _color(lanes[number]) if number in lanes else INK
        _draw_box(picture, card, boxes[number], color, is_last=number == len(cards) - 1)
    ElementTree.indent(picture)
    return ElementTree.tostring(picture, encoding="unicode") + "\n"


def wrapped(items: Sequence[str], width: int, most: int) -> tuple[str, ...]:
    """Joins items to at most `most` lines of `width` letters; the last says how many are left out.

    Korean letters are as wide as two others. An item that is too long is cut.
    """
    lines: list[list[str]] = []
    for item in items:
        text = shortened(item, width)
        if lines and letters(", ".join([*lines[-1], text])) <= width:
            lines[-1].append(text)
        else:
            lines.append([text])
    shown = lines[:most]
    hidden = sum(len(line) for line in lines[most:])
    while hidden and len(shown[-1]) > 1 and letters(_last_line(shown[-1], hidden)) > width:
        shown[-1].pop()
        hidden += 1
    return tuple(_last_line(line, hidden if line is shown[-1] else 0) for line in shown)


def _last_line(items: Sequence[str], hidden: int) -> str:
    return ", ".join(items) + (f" and {hidden} more" if hidden else "")


def letters(text: str) -> int:
    """How wide a text is, in Latin letters."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def shortened(text: str, width: int) -> str:
    """The text, or its beginning and an ellipsis if it is wider."""
    if letters(text) <= width:
        return text
    while text and letters(text) > width - 1:
        text = text[:-1]
    return text + "…"


@dataclass(frozen=True)
class _Box:
    left: int
    top: int
    bottom: int


@dataclass(frozen=True)
class _Graph:
    """The cards, where their boxes are, and the lane of each card that is read."""

    cards: Sequence[Card]
    boxes: Sequence[_Box]
    lanes: Mapping[int, int]  # 0 is beside the boxes

    def arrow(self, source: int, reader: int) -> int:
        """The height at which a source's arrow ends.

        The nearest lane's arrow is the topmost: the others' lines pass below its end.
        """
        reads = sorted(self.cards[reader].reads, key=lambda other: self.lanes[other])
        return self.boxes[reader].top + 17 + _PORT * reads.index(source)


def _readers(cards: Sequence[Card]) -> dict[int, list[int]]:
    """Number of each card that is read -> its readers."""
    readers: dict[int, list[int]] = {}
    for number, card in enumerate(cards):
        for source in card.reads:
            readers.setdefault(source, []).append(number)
    return readers


def _lanes(readers: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Gives each card that is read a lane in which no other's line runs beside it.

    The shortest lines are nearest to the boxes, so that few lines cross.
    """
    lanes: dict[int, int] = {}
    for source in sorted(readers, key=lambda source: (readers[source][-1] - source, source)):
        taken = {
            lane
            for other, lane in lanes.items()
            if other <= readers[source][-1] and source <= readers[other][-1]
        }
        lanes[source] = next(lane for lane in range(len(readers)) if lane not in taken)
    return lanes


def _boxes(cards: Sequence[Card], left: int, top: int) -> list[_Box]:
    boxes = []
    for card in cards:
        text = _HEAD + _LINE * (len(card.lines) + len(card.notes) + bool(card.warning)) + 8
        ports = 17 + _PORT * len(card.reads) + 16
        bottom = top + max(text, ports)
        boxes.append(_Box(left, top, bottom))
        top = bottom + _GAP
    return boxes


def _canvas(title: str, size: tuple[int, int]) -> Element:
    width, height = (str(length) for length in size)
    picture = Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
        role="img",
        style=f"font-family:system-ui,'Noto Sans CJK KR',sans-serif;fill:{INK}",
    )
    SubElement(picture, "title").text = _clean(title)
    SubElement(picture, "rect", width=width, height=height, style=f"fill:{_BACKGROUND}")
    return picture


def _draw_line(picture: Element, graph: _Graph, source: int, reader: int) -> None:
    """Draws what leads from an artifact to one of its readers."""
    start, end = graph.boxes[source], graph.boxes[reader]
    lane = graph.lanes[source]
    x = start.left - 14 - _LANE * lane
    y_start, y_end = start.bottom - 11, graph.arrow(source, reader)
    path = (
        f"M{start.left} {y_start}H{x + _ROUND}Q{x} {y_start} {x} {y_start + _ROUND}"
        f"V{y_end - _ROUND}Q{x} {y_end} {x + _ROUND} {y_end}H{end.left - 6}"
    )
    # A light edge tells a line from those that it crosses.
    SubElement(picture, "path", d=path, style=f"fill:none;stroke:{_BACKGROUND};stroke-width:4")
    style = f"fill:none;stroke:{_color(lane)};stroke-width:1.8"
    drawn = SubElement(picture, "path", d=path, style=style)
    read = graph.cards[source]
    told = f"{graph.cards[reader].title} reads {read.title} {read.key}"
    SubElement(drawn, "title").text = _clean(told)
    arrow = f"M{end.left} {y_end}l-8 -4v8z"
    SubElement(picture, "path", d=arrow, style=f"fill:{_color(lane)}")


def _color(lane: int) -> str:
    return SERIES[lane % len(SERIES)]


def _draw_box(picture: Element, card: Card, box: _Box, color: str, is_last: bool) -> None:
    group = SubElement(picture, "g")
    SubElement(group, "title").text = _clean(card.hint)
    height = str(box.bottom - box.top)
    border = f"stroke:{color};stroke-width:2" if is_last else f"stroke:{_BORDER}"
    if card.is_gone:
        border += ";stroke-dasharray:5 4"
    place = {"x": str(box.left), "y": str(box.top), "height": height}
    SubElement(group, "rect", place, width=str(_WIDTH), rx="6", style=f"fill:{_PAPER};{border}")
    SubElement(group, "rect", place, width="5", rx="2", style=f"fill:{color}")
    x, y = box.left + 20, box.top + 23
    _write(group, card.title, (x, y), "font-size:15px;font-weight:600")
    mono = f"font:12px ui-monospace,'DejaVu Sans Mono',monospace;fill:{FAINT}"
    _write(group, card.key, (x + 110, y), mono)
    right = f"font-size:12px;text-anchor:end;fill:{FAINT}"
    _write(group, card.date, (box.left + _WIDTH - 16, y), right)
    y = box.top + _HEAD + 9
    for text in card.lines:
        _write(group, text, (x, y), "font-size:13px")
        y += _LINE
    if card.warning:
        _write(group, card.warning, (x, y), f"font-size:13px;fill:{_WARNING}")
        y += _LINE
    for text in card.notes:
        _write(group, text, (x, y), f"font-size:11.5px;fill:{FAINT}")
        y += _LINE


def _write(parent: Element, text: str, place: tuple[int, int], style: str) -> None:
    x, y = place
    SubElement(parent, "text", x=str(x), y=str(y), style=style).text = _clean(text)


def _clean(text: str) -> str:
    """The text without what XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)
