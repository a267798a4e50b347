"""A part's progress is a stretch of the whole."""

from tasks.core.records.artifacts import stretch_of


def test_a_part_fills_its_stretch_of_the_whole():
    seen = []
    half = stretch_of(lambda share, text: seen.append((share, text)), 0.5, 0.5)
    nested = stretch_of(half, 0.5, 0.25)
    half(0.0, "begins")
    nested(1.0, "nested")
    half(1.0, "ends")
    assert seen == [(0.5, "begins"), (0.875, "nested"), (1.0, "ends")]
