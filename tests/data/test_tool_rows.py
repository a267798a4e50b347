"""A file of rows that call tools is checked and measured as it would be trained."""

import json

from tasks.core.data.reports.row_files import report_files
from tasks.core.data.tool_rows import WrongRow, are_tool_rows, check_tool_rows
from tests.data.test_tool_calls import ROW, TOOLS, call_of


def write(file, rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_every_row_at_fault_is_told(tmp_path):
    misspelt = {"messages": call_of({"id": 1}, "POST /db/nod"), "tools": TOOLS}
    rows = [{"messages": ROW, "tools": json.dumps(TOOLS)}, misspelt, {"messages": ROW}, "7"]
    file = write(tmp_path / "rows.jsonl", rows)
    assert are_tool_rows(file)
    found = check_tool_rows(file)
    assert found.rows == 4
    told = "POST /db/nod. Did you mean POST /db/node?"
    assert found.wrong[:2] == [
        WrongRow(2, "a call of none of the tools", told),
        WrongRow(3, "a tool call and no tools", ""),
    ]
    assert found.wrong[2].row == 4
    assert not are_tool_rows(write(tmp_path / "plain.jsonl", [{"messages": ROW[:2]}]))


def test_a_report_counts_the_text_that_is_trained(tmp_path):
    rows = [{"messages": ROW, "tools": TOOLS}, {"messages": ROW, "tools": None}]
    (report,) = report_files([write(tmp_path / "rows.jsonl", rows)], None, 2_048)
    figures = report.to_dict()
    assert figures["unreadable"] == {"a tool call and no tools": 1}
    assert figures["characters"]["min"] > len(json.dumps(TOOLS))
