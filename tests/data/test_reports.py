"""Reports of rows: figures of any training, synthetic or pair file, tokens as training counts them,
one page.
"""

import json
import re

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from flows.cli import main
from tasks.core.data.reports.pages import Table, describe_lengths, write_pages
from tasks.core.data.reports.row_files import report_files, write_file_reports
from tasks.core.data.reports.tokens import TokenCounter
from tasks.core.errors import RequestError

TEMPLATE = """\
{%- if messages[0]['role'] != 'system' %}{{- bos_token + ' default ' }}{%- endif %}
{%- for message in messages %}
    {%- if message['role'] == 'assistant' -%}
        {% generation %}{{- message['content'] }}{% endgeneration %}
    {%- else %}{{- message['content'] + ' turn ' }}{%- endif %}
{%- endfor %}"""


def write_lines(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def chat(user, assistant, **more):
    roles = (("system", "s s s"), ("user", user), ("assistant", assistant))
    return {"messages": [{"role": role, "content": text} for role, text in roles], **more}


def pair(user, chosen, rejected, **metadata):
    sides = {"chosen": chosen, "rejected": rejected}
    answers = {side: [{"role": "assistant", "content": text}] for side, text in sides.items()}
    return {"prompt": [{"role": "user", "content": user}], **answers, "metadata": metadata}


@pytest.fixture
def base(tmp_path):
    """A tokenizer of words with a chat template."""
    folder = tmp_path / "base"
    folder.mkdir()
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        '{"bos_token": {"content": "<s>"}}', encoding="utf-8"
    )
    return folder


@pytest.fixture
def files(tmp_path):
    known = {"metadata": {"kind": "fx_impact", "regime": "BEAR"}}
    rows = [
        chat("질문", "답", **known),
        chat("q", "a b c", source="own"),
        chat("질문", "답", **known),
        {"text": "q"},
    ]
    pairs = [pair("q", "right one", "x", kind="fx_impact", regime="BEAR", flaw="hallucination")]
    again = [chat("q", "a b c")]
    return [
        write_lines(tmp_path / f"{name}.jsonl", content)
        for name, content in {"rows": rows, "pairs": pairs, "again": again}.items()
    ]


def test_every_figure_of_every_file(files, base):
    rows, pairs, again = (report.to_dict() for report in report_files(files, base, 5))
    assert (rows["rows"], rows["duplicates"], rows["in_earlier_files"]) == (4, 1, 0)
    assert rows["languages"] == {"en": 1, "ko": 2} and rows["sources"] == {"own": 1}
    assert rows["kinds"] == {"fx_impact": 2} and rows["regimes"] == {"BEAR": 2}
    assert rows["unreadable"] == {"no messages, and no prompt with chosen and rejected": 1}
    assert rows["characters"] == {"min": 8, "mean": 9.0, "median": 8.0, "p95": 11, "max": 11}
    assert rows["tokens"] == {
        "min": 7,
        "mean": 7.7,
        "median": 7.0,
        "p95": 9,
        "max": 9,
    }  # s s s turn q turn a b c
    assert (rows["limit"], rows["over_limit"]) == (5, 3)
    assert pairs["flaws"] == {"hallucination": 1} and pairs["characters"]["max"] == len(
        "q" + "right one"
    )
    assert pairs["tokens"]["max"] == 6  # <s> default q turn right one
    assert pairs["characters, chosen"]["max"] == 9 and pairs["characters, rejected"]["max"] == 1
    assert (again["duplicates"], again["in_earlier_files"]) == (0, 1)
    assert "tokens" not in report_files(files[:1], None, 5)[0].to_dict()


def test_tokens_are_those_of_the_template_as_transformers_renders_it(base):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(base / "tokenizer.json"), bos_token="<s>"
    )
    tokenizer.chat_template = TEMPLATE
    chats = [chat("q w", "a\n b")["messages"], chat("q", "a")["messages"][1:]]
    expected = [
        len(tokenizer.apply_chat_template(messages, return_dict=False)) for messages in chats
    ]
    assert TokenCounter(base).count(chats) == expected == [9, 5]


def test_the_page_needs_no_other_file(files, base, tmp_path):
    write_file_reports(report_files(files, base, 5), tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert (
        not re.search(r'(src|href)="(?!data:)', page) and page.count("data:image/png;base64,") == 2
    )
    assert "fx_impact" in page and "over 5 tokens" in page
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("report.html", "report.json", "report.md", "counts.png", "lengths.png")
    }


def test_other_peoples_text_is_shown_and_not_obeyed(tmp_path):
    table = Table("rows", ("name",), [("<img src=x onerror=alert(1)>|\x1b[2J\nline",)])
    write_pages("title", "summary", [table], {}, tmp_path)
    cell = "&lt;img src=x onerror=alert(1)&gt;\\|\\x1b[2J line"
    assert f"| {cell} |" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<img src=x" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_command_prints_a_table_or_one_json_document(files, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["kospilot", "data", "report", *map(str, files), "--json"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert [entry["rows"] for entry in json.loads(capsys.readouterr().out)["files"]] == [4, 1, 1]
    monkeypatch.setattr("sys.argv", ["kospilot", "data", "report", *map(str, files)])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert re.search(r"in earlier files\s+0\s+0\s+1", capsys.readouterr().out)


def test_what_is_no_training_file_or_tokenizer_is_refused(tmp_path, files, base):
    other = write_lines(tmp_path / "other.jsonl", [{"text": "q"}, {"messages": "q"}, [1]])
    with pytest.raises(
        RequestError, match=r"other\.jsonl: none of its 3 rows has `messages`.*Name a training"
    ):
        report_files([other], None, 5)
    with pytest.raises(RequestError, match=r"--tokenizer .*: there is no tokenizer\.json"):
        report_files(files, tmp_path, 5)
    (base / "chat_template.jinja").write_text(
        "{{ raise_exception('no system here') }}", encoding="utf-8"
    )
    with pytest.raises(RequestError, match=r"template of .* does not render .*no system here"):
        report_files(files, base, 5)
    (base / "chat_template.jinja").unlink()
    with pytest.raises(RequestError, match=r"has no chat template"):
        TokenCounter(base)


def test_lengths_by_the_nearest_rank():
    assert describe_lengths([]) == {}
    assert describe_lengths(np.arange(1, 101)) == {
        "min": 1,
        "mean": 50.5,
        "median": 50.5,
        "p95": 95,
        "max": 100,
    }
