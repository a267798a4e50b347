"""kospilot data: what is in training, synthetic and pair files, and whether it is true."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from flows.commands.options import Json
from flows.console import print_json, say, stderr, table

app = typer.Typer(
    name="data", no_args_is_help=True, help="Training, synthetic and pair files: check, report."
)

_ROW_FILES = (".jsonl", ".json", ".csv", ".parquet")
_SHOWN = 20  # failures in the terminal; --json has them all


@app.callback()
def group() -> None:
    """A group of commands, even while it has one."""


@app.command()
def check(
    file: Annotated[
        Path,
        typer.Argument(
            help="rows.jsonl, pairs.jsonl, questions.jsonl, or parquet with messages; or rows with"
            " `messages` and `tools`."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Proves every row against the strategy's rules, or its calls against its tools, reading only
    the file.

    The exit code is 1 if any row fails.
    """
    from tasks.core.data.tool_rows import are_tool_rows
    from tasks.core.synthesis.proof import prove_file

    if file.is_file() and file.suffix.lower() in _ROW_FILES and are_tool_rows(file):
        _check_tool_rows(file, as_json)
        return
    proof = prove_file(file)
    if as_json:
        print_json(proof.to_dict())
    elif not proof.failed:
        say(f"All {proof.rows:,} rows are true.")
    else:
        shown = proof.failures[:_SHOWN]
        rows = [(failure.row, failure.rule, failure.detail) for failure in shown]
        table("", ("row", "rule", "what is wrong"), rows)
        table("", ("rule", "failures"), proof.by_rule.most_common())
        say(f"{proof.failed:,} of {proof.rows:,} rows are not true.")
        if len(proof.failures) > _SHOWN:
            say(f"The first {_SHOWN} failures are shown; --json lists all.")
    if proof.failed:
        raise typer.Exit(1)


def _check_tool_rows(file: Path, as_json: bool) -> None:
    """Shows which rows would be left out of training, and why."""
    from tasks.core.data.tool_rows import check_tool_rows

    found = check_tool_rows(file)
    wrong = [(row.row, row.rule, row.detail) for row in found.wrong]
    if as_json:
        failures = [asdict(row) for row in found.wrong]
        print_json({"rows": found.rows, "failed": len(wrong), "failures": failures})
    elif not wrong:
        say(f"All {found.rows:,} rows can be trained: each call fits its tool.")
    else:
        table("", ("row", "rule", "what is wrong"), wrong[:_SHOWN])
        say(f"{len(wrong):,} of {found.rows:,} rows would be left out.")
        if len(wrong) > _SHOWN:
            say(f"The first {_SHOWN} are shown; --json lists all.")
    if wrong:
        raise typer.Exit(1)


@app.command()
def report(
    files: Annotated[
        list[Path],
        typer.Argument(help="Parquet or JSON lines with messages, or prompt/chosen/rejected."),
    ],
    tokenizer: Annotated[
        Path | None, typer.Option(help="A base model's folder: counts tokens.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Tokens a row may have, as in training.max_length.")
    ] = 2_048,
    out: Annotated[
        Path | None, typer.Option(help="A folder for report.html, report.json and pictures.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Shows rows, languages, kinds, regimes, duplicates, lengths and tokens."""
    from tasks.core.data.reports.row_files import report_files, tables_of, write_file_reports

    with stderr.status("reading") as status:
        reports = report_files(files, tokenizer, limit, lambda text: status.update(escape(text)))
    if out:
        write_file_reports(reports, out)
        say(f"{out / 'report.html'} holds tables and pictures.")
    if as_json:
        print_json({"files": [report.to_dict() for report in reports]})
        return
    for shown in tables_of(reports):
        table(shown.title, shown.header, shown.cells)
