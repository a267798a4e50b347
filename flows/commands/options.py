"""Arguments and options that several commands share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[SETTINGS]...", help="section.name=value")
]
Profile = Annotated[
    str,
    typer.Argument(
        help="A profile, e.g. demo or kospi-7b (a wrong one lists them all), or a YAML file of your"
        " own that extends one."
    ),
]
