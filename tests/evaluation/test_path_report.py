"""The path in the report, on the page, in the JSON and as a picture: both models side by side."""

import json
import re

import pytest

from tasks.core.evaluation.evaluated import Evaluated
from tasks.core.evaluation.exposure_path import build_path
from tasks.core.evaluation.page import About, write_page
from tasks.core.evaluation.path_chart import draw_path
from tasks.core.evaluation.path_days import build_path_days, read_path_days
from tasks.core.evaluation.path_page import path_part
from tasks.core.evaluation.path_report import NO_PATH, path_notes, path_rows
from tasks.core.evaluation.report import all_figures, write_report
from tasks.core.settings.evaluation import Evaluation
from tests.evaluation.replies import reply
from tests.evaluation.test_exposure_path import path_days, told
from tests.evaluation.test_page import Elements


@pytest.fixture(scope="module")
def both(questions, market, tmp_path_factory):
    """A model that answers nothing beside one that answers right."""
    out = tmp_path_factory.mktemp("days")
    build_path_days(market / "holdout", Evaluation(path_days=30), out)
    both = Evaluated(questions, read_path_days(out), cost_bp=7.5)
    both.add("base", [reply("no") for _ in both.asked])
    both.add("released", [reply(question.reference) for question in both.asked])
    return both


def cells(text, words):
    """The cells of the table's line that begins with these words."""
    return re.search(rf"^\| {re.escape(words)} \| (.*) \|$", text, re.M)[1].split(" | ")


def test_the_report_has_table_json_and_picture(both, tmp_path):
    write_report(both, tmp_path, toy=False)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| net-exposure path, 30 days | base | released | the rule | the index |" in table
    assert cells(table, "days inside the rule's band")[1:3] == ["30 (100 %)", "30 (100 %)"]
    assert cells(table, "days with a valid answer") == ["0", "30", "–", "–"]
    assert cells(table, "days that kept the exposure of the day before")[0] == "30"
    assert cells(table, "return after costs, %")[0] == "0.0"
    assert cells(table, "return after costs, %")[1] == cells(table, "return after costs, %")[2]
    assert cells(table, "turnover, % of NAV a day")[0] == "0.0"
    assert "30 days prove nothing about returns: over so many, chance alone moves" in table
    assert "costs 7.5 basis points, an assumption" in table and "no transaction tax" in table
    assert (tmp_path / "path.png").read_bytes().startswith(b"\x89PNG")
    kept = json.loads((tmp_path / "path.json").read_text(encoding="utf-8"))
    assert kept["days"] == [day.date for day in both.days]
    assert kept["models"]["released"]["exposure_pct"] == kept["rule"]["exposure_pct"]
    assert kept["models"]["base"]["answers"]["days_kept"] == 30
    assert kept["models"]["released"]["figures"]["sharpe"] is None
    assert all_figures(both)["base"]["path"] == kept["models"]["base"]


def test_no_other_figure_changes_with_the_path(both, questions):
    """The path lies beside what an evaluation's digest is of, so that finished ones stay."""
    plain = Evaluated(questions)
    for model, replies in both.replies.items():
        plain.add(model, replies)
    assert (plain.scores, plain.marks) == (both.scores, both.marks)
    assert plain.path is None and all_figures(plain) == plain.scores


def test_the_page_draws_both_models_and_warns(both, tmp_path):
    write_page(both, About("t"), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = " ".join(Elements(page).text.split())
    assert "30 days prove nothing about returns" in text
    assert "return after costs, % 0.0" in text or "return after costs, %0.0" in text
    assert page.count("<polyline") == 3 + 4, "the rule and two models; the index too in the values"
    drawn = re.findall(r"""(?:y1|y2|y)="(-?[\d.]+)%""", page)
    assert drawn and all(0 <= float(share) <= 100 for share in drawn)
    points = re.findall(r'points="([^"]+)"', page)
    for x, y in (point.split(",") for line in points for point in line.split()):
        assert 0 <= float(x) <= 1000 and 0 <= float(y) <= 200


def test_a_page_without_a_path_says_why(questions, tmp_path):
    plain = Evaluated(questions)
    plain.add("m", [reply("no") for _ in questions])
    write_page(plain, About("t"), tmp_path / "report.html")
    text = " ".join(Elements((tmp_path / "report.html").read_text(encoding="utf-8")).text.split())
    assert NO_PATH in text


def test_few_asked_days_are_said_and_drawn(tmp_path):
    some = told(90.0, None, None, None, 50.0)
    path = build_path(path_days(), {"m": some}, cost_bp=5)
    assert path_notes(path)[0] == "5 days prove nothing about returns."
    assert path_notes(path)[1].startswith("Only 5 days of 5 were asked about, too few for a path")
    draw_path(path, tmp_path / "path.png", toy=True)
    assert (tmp_path / "path.png").stat().st_size > 10_000


def test_one_day_is_a_point(tmp_path):
    path = build_path(path_days((2.0,)), {"m": told(80.0)}, cost_bp=5)
    assert path_notes(path)[0] == "One day proves nothing about returns."
    rows = {row.words: row.cells for row in path_rows(path)}
    assert rows["volatility after costs, % a year"] == ["–"] * 3
    assert rows["days in the market"] == ["1 (100 %)", "1 (100 %)", "–"]
    draw_path(path, tmp_path / "path.png", toy=False)
    part = path_part(path, ["c0"])
    assert [line.points.count(",") for line in part.panels[1].lines] == [1, 1, 1]
