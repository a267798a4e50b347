"""What a model server tells those who ask its models."""

from typing import Protocol


class AskedServer(Protocol):
    """A server that holds models by tag (NAME:TAG) behind an OpenAI-style endpoint."""

    @property
    def openai_url(self) -> str:
        """The endpoint's address, /v1 included."""

    def digest(self, tag: str) -> str | None:
        """Returns a model's digest, or None if there is no such model."""

    def context_length(self, tag: str) -> int | None:
        """Returns the context in tokens that the model is served with; None if the server does not
        say.
        """
