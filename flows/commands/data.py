"""kospilot data: what is in training, synthetic and pair files."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from flows.console import print_json, say, stderr, table

app = typer.Typer(name="data", no_args_is_help=True, help="Training, synthetic and pair files: report.")
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.callback()
def group() -> None:
    """A group of commands, even while it has one."""


@app.command()
def report(
    files: Annotated[
        list[Path], typer.Argument(help="Parquet or JSON lines with messages, or prompt/chosen/rejected.")
    ],
    tokenizer: Annotated[Path | None, typer.Option(help="A base model's folder: counts tokens.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Tokens a row may have, as in training.max_length.")] = 2_048,
    out: Annotated[Path | None, typer.Option(help="A folder for report.html, report.json and pictures.")] = None,
    as_json: Json = False,
) -> None:
    """Rows, languages, kinds, regimes, duplicates, lengths and tokens."""
    from tasks.core.data.file_report import report_files, tables_of, write_file_reports

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
