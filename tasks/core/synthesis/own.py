"""A user's own rows and pairs, which join the synthetic ones: synthesis.own and pairs.own.

A row with a scene, or one that names a kind, is proven as ours are. Another is taken at its word:
it must have the right form, and the token budget holds for it too. Reads JSONL or parquet.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tasks.core.errors import RequestError
from tasks.core.kinds import ALL_KINDS
from tasks.core.kinds.base import system_prompt
from tasks.core.records.facts import Language
from tasks.core.scripts import HANGUL
from tasks.core.settings.synthesis import Synthesis
from tasks.core.synthesis.checks import check_row
from tasks.core.synthesis.proof import form_problem, rows_of

OWN = "own"
"""The kind that a row has in its metadata which is of none of ours."""

CountTokens = Callable[[list[str]], list[int]]


def require_file(setting: str, file: str) -> Path:
    """Returns the file that a setting names. Raises RequestError if there is none."""
    path = Path(file).expanduser()
    if not path.is_file():
        raise RequestError(
            f"{setting}={file}: there is no such file. Name a JSONL or parquet file of your own"
            " rows, or leave the setting out."
        )
    return path


def own_rows(synthesis: Synthesis, count: CountTokens) -> list[dict[str, Any]]:
    """Returns the rows of synthesis.own: `messages`, and `metadata` as ours have it; none without
    it.

    A row without a system message gets the strategy prompt of its language. Raises RequestError
    with the row that cannot be trained on, and why.
    """
    if not synthesis.own:
        return []
    file = require_file("synthesis.own", synthesis.own)
    token_budget = synthesis.token_budget
    rows = []
    for number, row in enumerate(rows_of(file), 1):
        where = f"synthesis.own={file}, row {number}"
        _require_form(where, row, "messages")
        messages = _with_system(where, row["messages"])
        _require_truth(where, {**row, "messages": messages})
        tokens = sum(count([message["content"] for message in messages]))
        if tokens > token_budget:
            raise RequestError(
                f"{where} has {tokens:,} tokens, and synthesis.token_budget={token_budget}. Shorten"
                " it, or raise the budget."
            )
        rows.append({"messages": messages, "metadata": _metadata(row, messages, tokens)})
    return rows


def own_pairs(file: Path) -> list[dict[str, Any]]:
    """Returns the pairs of pairs.own: `prompt`, `chosen` and `rejected` as messages or texts.

    Raises RequestError with the pair that cannot be trained on, and why.
    """
    pairs = []
    for number, raw in enumerate(rows_of(file), 1):
        where = f"pairs.own={file}, row {number}"
        row = {**raw, **_as_messages(raw)}
        _require_form(where, row, "rejected")
        prompt = _with_system(where, [*row["prompt"], *row["chosen"]])[:-1]
        pair = {"prompt": prompt, "chosen": row["chosen"], "rejected": row["rejected"]}
        if pair["chosen"] == pair["rejected"]:
            raise RequestError(f"{where}: chosen and rejected are the same. Leave it out.")
        metadata = {**_metadata(row, prompt, 0), "flaw": OWN}
        metadata |= {key: value for key, value in (row.get("metadata") or {}).items() if value}
        _require_truth(where, {**pair, "metadata": row.get("metadata") or {}})
        pairs.append({**pair, "metadata": metadata})
    return pairs


def _as_messages(row: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Returns the parts of a pair that are texts as messages."""
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    return {
        part: [{"role": role, "content": row[part]}]
        for part, role in roles.items()
        if isinstance(row.get(part), str)
    }


def _require_form(where: str, row: dict[str, Any], needed: str) -> None:
    problem = form_problem(row)
    if problem is None and needed not in row:
        problem = f"it has no {needed}"
    if problem is not None:
        raise RequestError(
            f"{where}: {problem}. A row has `messages` (system, user, assistant), a pair `prompt`,"
            " `chosen` and `rejected`."
        )


def _with_system(where: str, messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """Returns the messages with a system message in front. Raises RequestError if the others do not
    alternate from user to assistant, or one is empty.
    """
    told = [{"role": message["role"], "content": message["content"]} for message in messages]
    if told[0]["role"] != "system":
        text = " ".join(message["content"] for message in told)
        language: Language = "ko" if HANGUL.search(text) else "en"
        told = [{"role": "system", "content": system_prompt(language)}, *told]
    roles = [message["role"] for message in told[1:]]
    if not roles or len(roles) % 2 or roles != ["user", "assistant"] * (len(roles) // 2):
        raise RequestError(
            f"{where}: its roles are {', '.join(roles) or 'none'}. They must alternate from user"
            " to assistant."
        )
    empty = next((message for message in told if not message["content"].strip()), None)
    if empty:
        raise RequestError(f"{where}: a message of the {empty['role']} is empty.")
    return told


def _require_truth(where: str, row: dict[str, Any]) -> None:
    """Proves a row that says what it is about. Raises RequestError with the first problem."""
    metadata = row.get("metadata") or {}
    known = [kind.name for kind in ALL_KINDS]
    if metadata.get("kind") not in known and not metadata.get("scene"):
        return
    problem = next(iter(_problems(row)), None)
    if problem:
        raise RequestError(
            f"{where} is not true: {problem}. Mend it, or leave its metadata out if it is none of"
            " the strategy's kinds."
        )


def _problems(row: dict[str, Any]) -> Iterator[str]:
    try:
        for problem in check_row(row):
            yield f"{problem.rule}: {problem.detail}"
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        yield f"its scene cannot be read ({type(error).__name__}: {error})"


def _metadata(row: dict[str, Any], messages: list[dict[str, str]], tokens: int) -> dict[str, Any]:
    told = row.get("metadata") or {}
    text = messages[-1]["content"]
    return {
        "kind": told.get("kind") or OWN,
        "language": told.get("language") or ("ko" if HANGUL.search(text) else "en"),
        "regime": told.get("regime"),
        "date": told.get("date"),
        "day": told.get("day"),
        "simulated": told.get("simulated") or [],
        "tokens": tokens,
        "scene": told.get("scene"),
        "market_generated": False,
    }
