"""kospilot data: what is in training, synthetic and pair files, and whether it is true."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from flows.commands.options import Json
from flows.console import print_json, say, stderr, table

app = typer.Typer(
    name="data", no_args_is_help=True, help="Training, synthetic and pair files: check, report."
)

_SHOWN = 20  # failures in the terminal; --json has them all


@app.callback()
def group() -> None:
    """A group of commands, even while it has one."""


@app.command()
def check(
    file: Annotated[
        Path,
        typer.Argument(help="rows.jsonl, pairs.jsonl, questions.jsonl, or parquet with messages."),
    ],
    as_json: Json = False,
) -> None:
    """Proves every row against the strategy's rules, reading only the file.

    The exit code is 1 if any row fails.
    """
    from tasks.core.synthesis.proof import prove_file

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
