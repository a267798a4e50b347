"""What a run sees of the world outside the store: the market as it was read, and the tables that
are shipped.
"""

from contextlib import ExitStack
from pathlib import Path

import pytest

import tasks.core.chain.run
from tasks.core.chain.plan import recipe_of
from tasks.core.chain.produce import Job, find_inputs
from tasks.core.chain.run import prepare, shipped_tables
from tasks.core.chain.steps import chain
from tasks.core.errors import RequestError, WorkError
from tasks.core.market.demo import generate_demo_market
from tasks.core.strategy import universe
from tasks.market import _market


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    folder = tmp_path_factory.mktemp("market")
    generate_demo_market(folder)
    return folder


def test_days_that_arrive_while_the_market_is_read_are_not_stored_under_the_old_key(
    market, tmp_path
):
    run = prepare("demo", [f"market.dir={market}"])
    job = Job(
        run, chain(run.settings)["market"], "k", {}, tmp_path, lambda part, text: None, ExitStack()
    )
    assert _market(job)["days"] > 100
    newest = sorted(market.rglob("data.parquet"))[-1]
    whole = newest.read_bytes()
    newest.write_bytes(whole + b" ")
    with pytest.raises(
        WorkError, match="changed while this run read it. Run the same command again"
    ):
        run.check_market()
    newest.write_bytes(whole)


def test_the_shipped_tables_are_in_the_keys_of_what_is_made_from_them(market, monkeypatch):
    tables = {file.name for file in (Path(universe.__file__).parent / "tables").glob("*.csv")}
    assert {"universe.csv", "etfs.csv", "sectors.csv"} <= tables
    run = prepare("demo", [f"market.dir={market}"])
    corrected = {**shipped_tables(), "universe.csv": "a name was corrected"}
    monkeypatch.setattr(tasks.core.chain.run, "shipped_tables", lambda: corrected)
    other = prepare("demo", [f"market.dir={market}"])
    changed = {step for step in run.outside if run.outside[step] != other.outside[step]}
    assert changed == {"market", "synthesize", "evaluate"}
    step = chain(run.settings)["market"]
    assert recipe_of(step, run.world(), {}).key != recipe_of(step, other.world(), {}).key


def test_a_part_whose_inputs_are_not_there_is_refused_with_the_command_that_makes_them(
    market, tmp_path
):
    given = [f"market.dir={market}", "stages.skip=[stage1, stage2]"]
    with pytest.raises(RequestError) as caught:
        find_inputs(prepare("demo", given), ["pairs"])
    told = str(caught.value)
    assert told.startswith("synthesize is not there for these settings (download: not built yet).")
    assert (
        f"`kospilot run demo market.dir={market} 'stages.skip=[stage1, stage2]' --until synthesize`"
        in told
    )


def test_a_forced_step_that_would_not_run_is_refused(market):
    run = prepare("demo", [f"market.dir={market}"], ["merge"])
    with pytest.raises(RequestError, match="Forcing merge does nothing here: only gguf would run"):
        find_inputs(run, ["gguf"])
