"""What ships with kospilot and artifacts depend on: prompts, words and tables."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from tasks.core.files.digests import digest_file, digest_value


@cache
def prompt_digest() -> str:
    """The digest of the strategy prompt in both languages."""
    from tasks.core.kinds.base import system_prompt

    return digest_value([system_prompt("ko"), system_prompt("en")])


def served_system(language: str) -> str:
    """The system prompt that a released model has by itself: the strategy's in this language, or
    none (release.system_language).
    """
    from tasks.core.kinds.base import system_prompt

    if language == "none":
        return ""
    return system_prompt("ko" if language == "ko" else "en")


@cache
def analyst_digest() -> str:
    """The digest of the prompt that stands in for a blank one in Stage 1."""
    from tasks.core.kinds.base import ANALYST_PROMPT

    return digest_value(ANALYST_PROMPT)


@cache
def cards_digest() -> str:
    """The digest of the kinds' rule cards, which a briefed base is given."""
    from tasks.core.kinds import ALL_KINDS

    return digest_value([[kind.name, kind.card] for kind in ALL_KINDS])


@cache
def words_digest(given: bool = False) -> str:
    """The digest of the words in which the drawn kinds ask and argue, or the given ones."""
    from tasks.core.kinds import GIVEN_KINDS, KINDS

    folder = Path(str(files("tasks.core.kinds.catalog")))
    words = [folder / f"{kind.name}.yaml" for kind in (GIVEN_KINDS if given else KINDS)]
    return digest_value([[file.name, digest_file(file)] for file in sorted(words)])


@cache
def table_digests() -> dict[str, str]:
    """The sha256 of each table of stocks, funds, sectors and events, by its file name.

    Rows quote their names and ranges, and graders judge by them.
    """
    folder = Path(str(files("tasks.core.strategy") / "tables"))
    return {table.name: digest_file(table) for table in sorted(folder.glob("*.csv"))}
