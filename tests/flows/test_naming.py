"""What a run is called, and who is said to have started it."""

from types import SimpleNamespace

import pytest

from flows.naming import _MADE_UP, _trigger, why_short
from tasks.core.chain.plan import Planned

SKIP = Planned("download", "skip", "intact")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([SKIP], "nothing changed"),
        ([SKIP, Planned("stage2", "run", "forced")], "stage2: forced"),
        (
            [
                Planned("rehearse", "run", "release.num_predict changed from 1 to 2"),
                Planned("market", "run", "year=2026/month=12/data.parquet changed"),
            ],
            "market changed",
        ),
        ([Planned("market", "run", "not built yet")], "market: not built yet"),
        ([Planned("stage1", "run", "a changed; b changed")], "stage1: a changed"),
        ([Planned("stage1", "run", "x" * 100)], f"stage1: {'x' * 51}…"),
    ],
)
def test_a_name_says_why(lines, why):
    assert why_short(lines) == why


@pytest.mark.parametrize(
    ("made_up", "name"),
    [
        (True, "nimble-otter"),
        (True, "Fantastic-Prawn"),
        (False, "my run of Friday"),
        (False, "data demo 2026-11-30 · nothing changed"),
    ],
)
def test_only_a_made_up_name_is_replaced(made_up, name):
    assert bool(_MADE_UP.fullmatch(name)) == made_up


@pytest.mark.parametrize(
    ("run", "trigger"),
    [
        ({"auto_scheduled": True}, "schedule"),
        ({"tags": ["market"]}, "market"),
        ({"created_by": SimpleNamespace(type="AUTOMATION")}, "market"),
        ({}, "ui"),
        ({"deployment_id": None}, "terminal"),
    ],
)
def test_a_tag_says_who_started_it(run, trigger):
    usual = {"auto_scheduled": False, "tags": [], "created_by": None, "deployment_id": "1"}
    assert _trigger(SimpleNamespace(**{**usual, **run})) == trigger
