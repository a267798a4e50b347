"""The JSON Schemas of tools' arguments, as validators.

Schemas come with a user's rows: what one refers to elsewhere, on the network or on disk, is never
fetched.
"""

from typing import Any

import jsonschema_rs

from tasks.core.chat.tool_text import Tool

_NO_ARGUMENTS = {"type": "object"}


class NoSchema(Exception):
    """A tool's parameters are no JSON Schema that can be used; the text says why."""


def argument_schema(tool: Tool) -> jsonschema_rs.Validator:
    """Returns the validator of a tool's arguments; one without parameters takes any.

    Raises NoSchema.
    """
    parameters = tool["function"].get("parameters")
    return validator_of(_NO_ARGUMENTS if parameters is None else parameters)


def validator_of(schema: Any) -> jsonschema_rs.Validator:
    """Returns the validator of a JSON Schema. Raises NoSchema."""
    try:
        return jsonschema_rs.Draft202012Validator(schema, retriever=_refuse)
    except (ValueError, TypeError, jsonschema_rs.ValidationError) as error:
        raise NoSchema(str(error).splitlines()[0]) from error


def _refuse(address: str) -> Any:
    raise ValueError(f"a schema may not refer to {address}: write it into the tool")
