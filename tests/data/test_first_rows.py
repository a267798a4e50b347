"""A file of which normalize would leave nothing is told before any work."""

import logging

from tasks.core.data.first_rows import warn_of_drops
from tasks.core.data.sources.own import own_source
from tasks.core.settings.profiles import load
from tests.tiny import CHATML, chat_rows, write_jsonl


def test_rows_that_would_be_dropped_whole_are_warned_of(tmp_path, caplog):
    source = own_source(load("demo").settings.data)
    called = {"id": "1", "type": "function", "function": {"name": "price", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "삼성전자 주가는?"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
    ]
    rows = [*chat_rows(2), *[{"messages": turns}] * 3]
    warn_of_drops(source, write_jsonl(tmp_path / "good.jsonl", chat_rows(5)), None)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        warn_of_drops(source, write_jsonl(tmp_path / "calls.jsonl", rows), None)
    (record,) = caplog.records
    assert "3 of the first 5 rows of" in record.getMessage()
    assert "3 of them because of: a tool call and no tools" in record.getMessage()


def test_rows_that_the_bases_template_refuses_are_warned_of(tmp_path, caplog):
    source = own_source(load("demo").settings.data)
    one_question = "{% if messages | length > 3 %}{{ raise_exception('One question') }}{% endif %}"
    (tmp_path / "chat_template.jinja").write_text(one_question + CHATML)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    short = write_jsonl(tmp_path / "short.jsonl", chat_rows(4))
    long = write_jsonl(tmp_path / "long.jsonl", [row for row in chat_rows(60)[4::5]])
    warn_of_drops(source, short, tmp_path)
    assert not caplog.records
    warn_of_drops(source, long, tmp_path)
    (record,) = caplog.records
    assert "12 of them because of: refused by the base's chat template" in record.getMessage()
