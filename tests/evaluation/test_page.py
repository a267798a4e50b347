"""The page: everything is on it, nothing outside is needed, and foreign text stays text."""

import json
import re
from html.parser import HTMLParser

import pytest

from tasks.core.evaluation.evaluated import Evaluated
from tasks.core.evaluation.page import WORST, About, read_table, worst_cases, write_page
from tests.evaluation.replies import evaluated, reply

EVIL = '<script>alert(1)</script><img src="https://evil.example/x" onerror=alert(1)>{{ 7 * 7 }}'


class Elements(HTMLParser):
    """The elements and the text of a page as a browser sees them."""

    def __init__(self, page):
        super().__init__()
        self.tags = set()
        self.attributes = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def file(tmp_path):
    return tmp_path / "report.html"


def test_the_page_has_all_that_was_found(questions, file):
    made = {"kospilot": "0.1.0", "question set": "seed 42"}
    parity = [{"hop": "merge", "KL": "0.0001", "same top": "100 %"}]
    both = evaluated(questions, base=12, released=3)
    write_page(both, About("kospi:1 evaluated", made, "A toy.", parity), file)
    text = " ".join(Elements(file.read_text(encoding="utf-8")).text.split())
    for words in (
        "kospi:1 evaluated",
        "A toy.",
        "24 frozen questions about",
        "released answers better than base: mean grade 0.88 against 0.50, paired",
        "obeys the schema 88 % [",
        "full analysis n",
        f"Korean n {sum(question.language == 'ko' for question in questions)} ",
        "merge0.0001100 %",
        "Worst replies of released",
        "✗ json",
        "question setseed 42",
    ):
        assert words in text, words
    assert questions[0].messages[-1]["content"].split("\n")[0] in text


def test_the_page_needs_no_other_file_and_runs_no_script(questions, file):
    write_page(evaluated(questions, base=12, released=3), About("t"), file)
    page = file.read_text(encoding="utf-8")
    elements = Elements(page)
    assert not elements.tags & {"script", "link", "img", "iframe", "object", "embed", "base"}
    assert not [name for name, _ in elements.attributes if name in ("src", "href", "xlink:href")]
    assert "url(" not in page and "@import" not in page and "://" not in page
    assert "default-src 'none'" in page


def test_foreign_text_stays_text(questions, file):
    """Replies, names and a server's words are anybody's."""
    foreign = Evaluated(questions[:2])
    right = json.loads(questions[0].reference)
    foreign.add(EVIL, [reply(EVIL), reply(json.dumps({**right, "reasoning": EVIL}))])
    foreign.add(f"b{EVIL}", [reply(f"</pre>{EVIL}"), reply("\x00\x1b[2J")])
    write_page(foreign, About(EVIL, {EVIL: EVIL}, EVIL, [{EVIL: EVIL}]), file)
    elements = Elements(file.read_text(encoding="utf-8"))
    assert not elements.tags & {"script", "img"}
    assert not [name for name, _ in elements.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in elements.text and "{{ 7 * 7 }}" in elements.text


def test_the_worst_replies_are_of_all_kinds_first(questions):
    cases = worst_cases(evaluated(questions, only=24))
    assert len(cases) == WORST == len({case.question.kind for case in cases})
    assert [case.grade for case in cases] == sorted(case.grade for case in cases)
    assert worst_cases(evaluated(questions, only=0)) == [], "a right answer is no bad example"


def test_what_differs_from_the_right_answer_is_marked(questions):
    question = next(each for each in questions if each.kind == "regime_classification")
    right = json.loads(question.reference)
    wrong = Evaluated([question])
    other = "BEAR" if right["regime"] != "BEAR" else "MILD_BULL"
    wrong.add("m", [reply(json.dumps({**right, "regime": other}, ensure_ascii=False))])
    marked = [line.text.strip() for line in worst_cases(wrong)[0].reply if line.differs]
    assert marked == [f'"regime": "{other}",']


def test_a_reply_that_rambles_is_cut_and_none_is_said_so(questions):
    wrong = Evaluated(questions[:2])
    wrong.add("m", [reply("x" * 100_000), reply("")])
    texts = sorted("\n".join(line.text for line in case.reply) for case in worst_cases(wrong))
    assert texts[0] == "(nothing)"
    assert texts[1].endswith("… 94,000 more characters")


def test_one_model_alone_has_no_rival_on_the_page(questions, file):
    write_page(evaluated(questions, alone=3), About("alone"), file)
    page = file.read_text(encoding="utf-8")
    assert "difference to" not in page and not re.search("answers (better|worse)", page)


def test_a_reports_table_comes_along(tmp_path):
    report = tmp_path / "parity.md"
    assert read_table(report) == []
    table = "| hop | KL |\n|---|---:|\n| merged | 1 ± 0 |\n| F16 | – |\n"
    report.write_text(f"# Title\n\nWords.\n\n{table}")
    assert read_table(report) == [{"hop": "merged", "KL": "1 ± 0"}, {"hop": "F16", "KL": "–"}]
    report.write_text("nothing here")
    assert read_table(report) == []
