"""kospilot data: whether training, pair and evaluation files are true."""

from pathlib import Path
from typing import Annotated

import typer

from flows.console import print_json, say, table

app = typer.Typer(name="data", no_args_is_help=True, help="Training, synthetic and pair files: check.")
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

_SHOWN = 20  # failures in the terminal; --json has them all


@app.callback()
def group() -> None:
    """A group of commands, even while it has one."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="rows.jsonl, pairs.jsonl, questions.jsonl, or parquet with messages.")],
    as_json: Json = False,
) -> None:
    """Proves every row against the strategy's rules, reading only the file; exit code 1 if any fails."""
    from tasks.core.synthesis.proof import prove_file

    proof = prove_file(file)
    if as_json:
        print_json(proof.to_dict())
    elif proof.failed:
        told = [(failure.row, failure.rule, failure.detail) for failure in proof.failures[:_SHOWN]]
        table("", ("row", "rule", "what is wrong"), told)
        table("", ("rule", "failures"), proof.by_rule.most_common())
        more = f" The first {_SHOWN} failures are shown; --json lists all." if len(proof.failures) > _SHOWN else ""
        say(f"{proof.failed:,} of {proof.rows:,} rows are not true.{more}")
    else:
        say(f"All {proof.rows:,} rows are true.")
    if proof.failed:
        raise typer.Exit(1)
