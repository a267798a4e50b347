"""Whether a release gets the name, against the holder, the base or nobody."""

from tasks.core.evaluation.promotion import MARGIN, Rival, decide

DAYS = [f"2025-{number // 28 + 1:02d}-{number % 28 + 1:02d}" for number in range(200)]


def marks(*grades, valid=1.0, regime=1.0):
    mark = {"schema_valid": valid, "regime_accuracy": regime, "exposure_in_band": None}
    mark["fully_right"] = None
    return [{**mark, "grade": float(grade)} for grade in grades]


def against(who, old, new):
    return decide(new, Rival(who, old), DAYS[: len(new)])


def test_a_release_no_better_than_its_base_is_refused_with_the_figures():
    base = marks(0.0, 0.43, 0.83, 0.43)
    refused = against("base", base, marks(0.375, 0.57, 0.0, 0.43))
    assert not refused.promote and refused.against == "base"
    assert refused.difference["value"] < 0 < refused.difference["high"]
    assert refused.reasons[1] == (
        "mean grade against the base's: 0.422 → 0.344, difference −0.079 [−0.588, +0.281] over 4"
        " questions of 4 days: it answers no better"
    )
    assert not against("base", base, base).promote, "no better is not better"
    better = against("base", base, marks(0.375, 0.57, 0.83, 0.43))
    assert better.promote and better.reasons[1].endswith(": it answers better")


def test_replies_that_no_app_can_read_are_refused_whatever_the_rival_is():
    """A model with no valid reply was promoted once, because nobody held the name."""
    broken = marks(0, 0, 0, 0, valid=0.0)
    for refused in (decide(broken, None, DAYS[:4]), against("holder", broken, broken)):
        assert not refused.promote
        assert refused.reasons[0] == (
            "replies that obey their schema: 0 % [0, 0] of 4: less than the 90 % that are needed"
        )


def test_of_few_questions_one_cut_reply_says_little():
    few = marks(1, 1, 1) + marks(0, valid=0.0)
    lenient = decide(few, None, DAYS[:4])
    assert lenient.promote
    assert "75 % [25, 100] of 4: too few questions to say" in lenient.reasons[0]
    many = few * 50  # the same share is certain now
    assert not decide(many, None, DAYS).promote


def test_where_the_base_was_not_asked_the_decision_says_so():
    alone = decide(marks(0.2, 0.2), None, DAYS[:2])
    assert alone.promote and alone.against is None and alone.difference is None
    assert "is not known: the base was not asked" in alone.reasons[1]


def test_a_holder_is_kept_if_the_release_certainly_answers_worse():
    """However small the fall is: every question lost a little."""
    refused = against("holder", marks(*[0.8] * 200), marks(*[0.79] * 200))
    assert not refused.promote
    assert refused.reasons[1].endswith("200 days: it certainly answers worse")


def test_a_fall_within_the_margin_may_be_chance_and_a_larger_one_is_not_let_through():
    holder = marks(*[0.5] * 200)
    ups_and_downs = [0.0, 1.0] * 100
    shift = MARGIN - 0.01
    may_be_chance = against("holder", holder, marks(*[grade - shift for grade in ups_and_downs]))
    assert may_be_chance.difference["high"] > 0
    assert may_be_chance.promote and "kept (0.05 may be lost by chance)" in may_be_chance.reasons[1]
    few = against("holder", marks(0.5, 0.5, 0.5, 0.5), marks(0.0, 1.0, 0.8, 0.0))
    assert few.difference["value"] < -0.04 and few.difference["high"] > 0
    larger = against("holder", marks(0.5, 0.5, 0.5, 0.5), marks(0.0, 1.0, 0.6, 0.0))
    assert not larger.promote and "it answers worse (0.05 may be" in larger.reasons[1]


def test_an_equal_or_better_release_takes_the_holders_place():
    holder = marks(*[0.7] * 40)
    assert against("holder", holder, holder).promote
    assert against("holder", holder, marks(*[0.9] * 40)).promote


def test_a_better_grade_does_not_pay_for_a_lost_regime():
    refused = against("holder", marks(*[0.7] * 40), marks(*[0.9] * 40, regime=0.0))
    assert not refused.promote
    lost = [reason for reason in refused.reasons if "certainly fell" in reason]
    assert lost == ["regime right: difference −1.000 [−1.000, −1.000], n 40: certainly fell"]
    assert "exposure in band: no question asks for it" in refused.reasons
