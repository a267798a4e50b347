"""A model behind an OpenAI-style API: where it is asked, and under which key.

The key is read from the environment for each request. No object, file or message of ours holds it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tasks.core.errors import RequestError, WorkError
from tasks.core.processes.http import is_loopback
from tasks.core.records.servers import AskedServer

KEY_VARIABLE = "KOSPILOT_API_KEY"
"""Environment variable of the key to a foreign endpoint. It is not OPENAI_API_KEY: that would send
OpenAI's key to whoever is asked.
"""


@dataclass(frozen=True)
class Endpoint:
    """A model behind an OpenAI-style API. Its address and name are enough to ask it."""

    url: str  # the server's, with or without /v1
    model: str
    digest: str | None = None  # tells two models of one name apart; None if the server does not say
    context_length: int | None = None  # tokens; None if the server does not say
    key_variable: str | None = None  # of the environment; None for a server of our own
    digest_now: Callable[[], str | None] | None = field(default=None, compare=False, repr=False)
    """Asks the server for the digest that the name has by now; None if the server does not say."""

    @classmethod
    def of(cls, server: AskedServer, tag: str) -> "Endpoint":
        """Returns the endpoint of a model on a server that tells what it holds."""
        return cls(
            server.openai_url,
            tag,
            server.digest(tag),
            server.context_length(tag),
            digest_now=lambda: server.digest(tag),
        )

    @classmethod
    def at(cls, address: str, key_variable: str = KEY_VARIABLE) -> "Endpoint":
        """Returns the endpoint that URL#MODEL names, on any server. Raises RequestError."""
        url, _, model = address.partition("#")
        parts = urlsplit(url)
        if parts.username or parts.password or parts.query:
            raise RequestError(
                f"The address of {model or 'the endpoint'} holds a user, a password or a query,"
                " which would be written into reports. Give it as URL#MODEL, and its key in"
                f" {key_variable}."
            )
        if not model or parts.scheme not in ("http", "https") or not parts.hostname:
            raise RequestError(
                f"{address!r} is no endpoint. Give the address and the model's name as URL#MODEL,"
                " e.g. http://localhost:8000/v1#qwen2.5-7b."
            )
        # Two servers may have a model of the same name.
        return cls(url, model, f"{_v1(url)}#{model}", key_variable=key_variable)

    def check_same(self) -> None:
        """Raises WorkError if the name has come to mean another model than the one that this
        endpoint was made for.
        """
        if self.digest_now is None:
            return
        now = self.digest_now()
        if now != self.digest:
            raise WorkError(
                f"{self.model} on {self.url} was exchanged while it was asked: its digest was"
                f" {_short(self.digest)} and is {_short(now)} now. No reply of the other model is"
                " kept. Run the same command again."
            )

    def path(self, path: str) -> str:
        """Returns the address of a path under /v1."""
        return f"{_v1(self.url)}/{path}"

    @property
    def key(self) -> str | None:
        """The key that requests carry: what the environment has, if nobody else can read it."""
        return self._named_key if self.sends_key else None

    @property
    def sends_key(self) -> bool:
        """Whether a key may go to this address: over plain HTTP only within this machine."""
        parts = urlsplit(self.url)
        return parts.scheme == "https" or is_loopback(parts.hostname or "")

    @property
    def headers(self) -> dict[str, str]:
        """What each request carries beside its body."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def without_key(self, text: str) -> str:
        """Returns a server's message without the key, which some repeat."""
        return text.replace(self._named_key, "…") if self._named_key else text

    @property
    def _named_key(self) -> str | None:
        if self.key_variable is None:
            return None
        return os.environ.get(self.key_variable, "").strip() or None


def _short(digest: str | None) -> str:
    return digest[:19] if digest else "none"


def _v1(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1") + "/v1"
