"""Sampled answers of a kind, from a real server, for the tests and for tests/bench/schemas.py."""

from pathlib import Path

from tasks.core.evaluation.answer import Endpoint, Options, ask
from tasks.core.evaluation.graded import make_question
from tasks.core.evaluation.records import Reply
from tasks.core.kinds.base import Kind, system_prompt
from tasks.core.kinds.grading import read
from tasks.core.market.artifact import write_days
from tasks.core.market.demo import ensure_demo_market
from tasks.core.serving.modelfile import Modelfile, build_modelfile
from tasks.core.settings.release import Release

MAX_TOKENS = 3_072
"""More than an answer has when it fills every list and text of its schema with plain letters."""


def sampling_modelfile(base: Path) -> Modelfile:
    """A Modelfile under which no whole answer is cut."""
    release = Release(num_ctx=6_144, num_predict=MAX_TOKENS)
    return build_modelfile(base, release, system_prompt("en"))


def demo_days(folder: Path) -> Path:
    """The demo market's days, to make questions from."""
    ensure_demo_market(folder / "daily")
    write_days(folder / "daily", folder)
    return folder


def sample(
    endpoint: Endpoint, kind: Kind, days: Path, seed: int, max_tokens: int = MAX_TOKENS
) -> tuple[Reply, bool]:
    """A sampled reply to a question of the kind, Korean or English, and whether it is JSON that the
    schema allows.
    """
    language = ("ko", "en")[seed % 2]
    messages = make_question(kind.name, days, language=language, seed=seed).messages
    options = Options(temperature=0.7, seed=seed, max_tokens=max_tokens)
    reply = ask(endpoint, messages, kind.schema, options)
    answer, _ = read(reply.text, kind.schema)
    return reply, answer is not None
