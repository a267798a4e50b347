"""Who is told how the runs of a server end."""

from typing import Annotated

import httpx
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
        try:
            parts = httpx.URL(url)
        except httpx.InvalidURL:
            parts = httpx.URL("")
        if url and not (parts.scheme in ("http", "https") and parts.host):
            raise ValueError("it is no address; write https://HOST/PATH")
        return url
