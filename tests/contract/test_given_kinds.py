"""A kind whose questions logs give keeps the protocol of the drawn ones, and is in none of their
places.
"""

import json
import re
from dataclasses import replace
from random import Random

import jsonschema_rs
import pytest

from tasks.core.kinds import ALL_KINDS, GIVEN_KINDS, KINDS, kind_named
from tasks.core.kinds.base import FLAWS, scene_from_dict, scene_to_dict
from tasks.core.kinds.scenes import HELD_TEMPLATES
from tasks.core.kinds.texts import to_text
from tasks.core.settings.synthesis import Synthesis
from tasks.core.synthesis.log_files import read_log
from tasks.core.synthesis.reading import read_question
from tests.contract.spoiled import assert_fails_for_its_own_reason
from tests.contract.test_kinds import leaves_of
from tests.live_logs import SOUND, write_logs
from tests.synthetic import LANGUAGES

each_kind = pytest.mark.parametrize("kind", GIVEN_KINDS, ids=lambda known: known.name)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = write_logs(tmp_path_factory.mktemp("logs"), SOUND)
    return [read_log(file, Synthesis()) for file in sorted(folder.glob("*/*.json"))]


def scenes_of(kind, logs, number=4):
    """So many scenes of each log, in different words."""
    for log in logs:
        rng = Random(log.name)
        for _ in range(number):
            templates = len(kind.templates(log.language))
            yield kind.scene_of(log, rng.randrange(templates), rng.randrange(1, 2**32))


def test_a_given_kind_is_known_by_name_and_never_drawn():
    assert {kind.name for kind in GIVEN_KINDS} == {"signals"}
    assert {*KINDS, *GIVEN_KINDS} == set(ALL_KINDS)
    for kind in GIVEN_KINDS:
        assert kind.share == 0 and kind not in KINDS
        assert kind_named(kind.name) is kind


@each_kind
def test_the_right_answer_is_the_logs_own_and_grades_one(kind, logs):
    for scene in scenes_of(kind, logs):
        right = kind.answer(scene, Random(scene.seed))
        jsonschema_rs.validate(kind.schema, right)
        assert kind.grade(scene, to_text(right)).score == 1.0, right
        read_back = scene_from_dict(json.loads(json.dumps(scene_to_dict(scene))))
        assert read_back.given == scene.given
        assert kind.grade(read_back, to_text(right)).score == 1.0


@pytest.mark.parametrize("how", FLAWS)
@each_kind
def test_a_spoiled_answer_fails_for_its_own_reason(kind, how, logs):
    assert_fails_for_its_own_reason(kind, scenes_of(kind, logs), how)


@each_kind
def test_templates_are_many_and_distinct_and_hold_every_blank(kind):
    for language in LANGUAGES:
        templates = kind.templates(language)
        assert len(set(templates)) == len(templates) >= 20 + HELD_TEMPLATES
        for template in templates:
            assert sorted(re.findall(r"{(\w+)}", template)) == ["market", "stocks"], template
            assert not re.search(r"\d", template)
            assert bool(re.search("[가-힣]", template)) == (language == "ko")


@each_kind
def test_a_question_says_its_scene_and_nothing_else(kind, logs):
    for scene in scenes_of(kind, logs):
        for template in range(len(kind.templates(scene.language))):
            question = kind.ask(replace(scene, template=template), Random(1))
            reading = read_question(question)
            assert reading.facts == scene.facts, question
            assert (reading.language, reading.kind) == (scene.language, kind.name)
            assert reading.unread == () and reading.dates == ()


@each_kind
def test_a_schema_bounds_every_number_and_text_and_names_units(kind):
    for path, entry in leaves_of(kind.schema):
        if entry["type"] == "integer":
            assert {"minimum", "maximum"} <= set(entry) and path.endswith("_pct"), path
        else:
            assert {"minLength", "maxLength"} <= set(entry), path
