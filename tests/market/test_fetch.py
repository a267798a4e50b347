"""New days before a refresh: fetched if the settings ask for them; a silent KRX stops no run."""

import logging

import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.market import fetch
from tasks.core.market.fetch import fetch_new_days
from tasks.core.records.artifacts import no_progress
from tasks.core.settings.tree import Market

KRX = Market(fetch="krx")


@pytest.fixture
def answers(monkeypatch, caplog):
    """Lets KRX answer with a sentence, or fail; returns what is logged."""
    caplog.set_level(logging.INFO)

    def answer(told):
        def fetched(folder, progress):
            if isinstance(told, Exception):
                raise told
            return told

        monkeypatch.setattr(fetch, "_fetch", fetched)
        return caplog

    return answer


def test_nothing_is_fetched_unasked(answers, tmp_path):
    logged = answers(AssertionError("asked"))
    fetch_new_days(Market(), tmp_path, no_progress)
    assert not logged.records


@pytest.mark.parametrize(
    ("answer", "level", "text"),
    [
        ("rows: 100", "INFO", "KRX: rows: 100"),
        (RequestError("every day is there"), "INFO", "every day is there"),
        (WorkError("KRX is down"), "WARNING", "No new days from KRX: KRX is down"),
    ],
)
def test_what_krx_gave_is_said(answers, tmp_path, answer, level, text):
    logged = answers(answer)
    fetch_new_days(KRX, tmp_path, no_progress)
    assert [(record.levelname, record.getMessage()) for record in logged.records] == [(level, text)]


def test_an_invented_market_is_refused(answers, tmp_path):
    answers("rows: 1")
    (tmp_path / "GENERATED.json").write_text("{}")
    with pytest.raises(RequestError, match=r"market.fetch=krx is not for .* are invented"):
        fetch_new_days(KRX, tmp_path, no_progress)
