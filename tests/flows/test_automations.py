"""News of the market folder that is followed starts a refresh, and another folder's does not."""

from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
from prefect.events.schemas.events import Resource

from deployments.automations import _refresh_market
from tasks.core.market.news import FOLDER_LABEL, MARKET_UPDATED

REFRESH = UUID(int=5)


@pytest.mark.parametrize(
    ("folder", "starts"),
    [("/srv/market", True), ("/srv/market2", False), ("/srv", False), ("", False)],
)
def test_the_news_of_one_folder_starts_refresh(folder, starts):
    client = SimpleNamespace(read_deployment_by_name=lambda name: SimpleNamespace(id=REFRESH))
    automation = _refresh_market(client, Path("/srv/market"))
    event = {"prefect.resource.id": "kospilot.market.prices", FOLDER_LABEL: folder}
    assert automation.trigger.match.matches(Resource(event)) == starts
    assert automation.trigger.expect == {MARKET_UPDATED}
    assert [action.deployment_id for action in automation.actions] == [REFRESH]
