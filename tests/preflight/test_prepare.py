"""Before a run: what it reads must be there, and what is forced must be among what runs."""

import pytest

from tasks.core.chain.produce import find_inputs
from tasks.core.errors import RequestError
from tasks.core.market.demo import generate_demo_market
from tasks.core.preflight.prepare import prepare


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
