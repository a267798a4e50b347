"""Who is told how the runs of a server end."""

import os
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from tasks.core.errors import RequestError
from tasks.core.settings.section import BESIDE, Section

ADDRESS_VARIABLE = "KOSPILOT_NOTIFY_URL"
"""The webhook's address in the environment, which no list of processes shows to other users."""


class Notify(Section):
    url: Annotated[SecretStr, BESIDE] = SecretStr("")
    """Webhook that `kospilot serve` and `kospilot deploy` let a server tell of failed and crashed
    runs, refused releases and finished refreshes: an http(s) address, as Slack and others give
    them, that takes {"text": ...}; empty tells nobody. KOSPILOT_NOTIFY_URL gives it unseen.
    """

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text and not _is_web_address(text):
            raise ValueError("it is no address; write https://HOST/PATH")
        return url

    def address(self) -> str:
        """Returns the setting, or else what KOSPILOT_NOTIFY_URL holds; empty if nobody is told.

        Raises RequestError, which does not repeat it, if the variable holds no address.
        """
        address = self.url.get_secret_value() or os.environ.get(ADDRESS_VARIABLE, "")
        if address and not _is_web_address(address):
            raise RequestError(
                f"What {ADDRESS_VARIABLE} holds is no address: set it to https://HOST/PATH."
            )
        return address


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
