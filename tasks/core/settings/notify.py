"""Who is told how the runs of a server end."""

from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import field_validator

from tasks.core.settings.section import BESIDE, Section


class Notify(Section):
    url: Annotated[str, BESIDE] = ""
    """Webhook that `kospilot serve` and `kospilot deploy` let a server tell of failed and crashed
    runs, refused releases and finished refreshes: an http(s) address, as Slack and others give
    them, that takes {"text": ...}; empty tells nobody.
    """

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if url and not _is_web_address(url):
            raise ValueError("it is no address; write https://HOST/PATH")
        return url


def without_address(overrides: Iterable[str]) -> list[str]:
    """Overrides that may be shown and kept: the address of a webhook is a secret, because who has
    it can post there.
    """
    return [text for text in overrides if not text.strip().startswith("notify.")]


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
