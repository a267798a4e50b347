"""Before a run: what it reads must be there, and what is forced must be among what runs."""

import pytest

from tasks.core.chain.produce import find_inputs
from tasks.core.errors import RequestError
from tasks.core.market.demo import generate_demo_market
from tasks.core.preflight.prepare import check_market_seen, prepare, releases


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    folder = tmp_path_factory.mktemp("market")
    generate_demo_market(folder)
    return folder


def test_a_part_whose_inputs_are_not_there_is_refused_with_the_command_that_makes_them(market):
    given = [f"market.dir={market}", "stages.skip=[stage1, stage2]"]
    with pytest.raises(RequestError) as caught:
        find_inputs(prepare("demo", given), ["pairs"])
    message = str(caught.value)
    assert message.startswith(
        "synthesize is not there for these settings (download: not built yet)."
    )
    assert (
        f"`kospilot run demo market.dir={market} 'stages.skip=[stage1, stage2]' --until synthesize`"
        in message
    )


def test_a_forced_step_that_would_not_run_is_refused(market):
    run = prepare("demo", [f"market.dir={market}"], ["merge"])
    with pytest.raises(RequestError, match="Forcing merge does nothing here: only gguf would run"):
        find_inputs(run, ["gguf"])


def test_a_misspelt_step_is_answered_with_the_nearest():
    with pytest.raises(RequestError, match=r"There is no step 'quantise'. Did you mean quantize\?"):
        prepare("demo", (), ["quantise"])


def test_every_stage_can_be_released_by_one_run(market):
    stages = "release.stages=[stage2, stage1, stage3]"
    run = prepare("demo", [f"market.dir={market}", stages, "pairs.model_reject_share=0.1"])
    first, second, last = releases(run)
    assert last is run
    tags = [part.settings.release_tag for part in (first, second, last)]
    assert tags == ["kospilot-demo", "kospilot-demo-s2", "kospilot-demo-s3"]
    assert [part.history for part in (first, second, last)] == [
        "demo stage1",
        "demo stage2",
        "demo",
    ]
    assert {"rehearse", "stage1", "promote"} <= first.steps.keys()
    assert not {"stage2", "stage3", "pairs", "rejects", "synthesize"} & first.steps.keys()
    assert list(second.steps).index("stage1") < list(second.steps).index("stage2")


def test_without_further_stages_a_run_is_one_part(market):
    run = prepare("demo", [f"market.dir={market}", "release.stages=[stage3]"])
    assert releases(run) == [run]


def test_parts_are_not_forced(market):
    run = prepare("demo", [f"market.dir={market}", "release.stages=[stage1]"], ["stage1"])
    with pytest.raises(RequestError, match="--force stage1 is not for a run of several releases"):
        releases(run)


def test_a_stage_that_does_not_run_is_not_released(market):
    given = [f"market.dir={market}", "release.stages=[stage1]", "stages.skip=[stage1]"]
    with pytest.raises(RequestError, match="release.stages names stage1, and stages.skip leaves"):
        prepare("demo", given)


def test_a_workers_machine_that_does_not_see_the_market_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("KOSPILOT_HOST", "cpu-2")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError) as caught:
        check_market_seen("kospi-7b", ["market.dir=prices"], tmp_path)
    assert f"There is no market folder {tmp_path}/prices on cpu-2" in str(caught.value)
    (tmp_path / "prices").mkdir()
    check_market_seen("kospi-7b", ["market.dir=prices"], tmp_path)
    check_market_seen("demo", [], tmp_path / "new")
