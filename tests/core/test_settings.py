"""Settings: profiles and overrides give the values of the specification, and mistakes are all shown at once."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.profiles import load, meanings, profile_names
from tasks.core.settings import Settings


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_loads(profile):
    assert load(profile).profile == profile


def test_kospi_7b_is_the_table_of_the_specification():
    settings = load("kospi-7b").settings
    assert settings.model.base == "Qwen/Qwen2.5-7B-Instruct"
    assert (settings.data.rows, settings.synthesis.rows, settings.pairs.rows) == (200_000, 5_000, 2_000)
    table = [
        (stage.epochs, stage.effective_batch, stage.micro_batch, stage.learning_rate, stage.save_every, stage.keep)
        for stage in (settings.stage1, settings.stage2, settings.stage3)
    ]
    assert table == [(2, 16, 2, 2e-4, 500, 3), (3, 8, 2, 5e-5, 200, 3), (1, 8, 1, 5e-7, 200, 2)]
    assert (settings.training.lora_rank, settings.training.lora_alpha, settings.training.max_length) == (32, 16, 2048)


def test_origins_say_where_a_value_came_from():
    resolved = load("demo", ["synthesis.rows=130", "stage1.learning_rate=3e-4"])
    assert resolved.settings.synthesis.rows == 130
    assert resolved.settings.stage1.learning_rate == 3e-4
    assert resolved.origins["synthesis.rows"] == "override"
    assert resolved.origins["model.base"] == "profile demo"
    assert resolved.origins["training.lora_alpha"] == "default"


def test_all_mistakes_are_shown_at_once():
    with pytest.raises(RequestError) as caught:
        load("demo", ["synthsis.rows=3", "training.lora_rank=x", "rows", "data.rows=0"])
    text = str(caught.value)
    assert "There is no setting 'synthsis.rows'. Did you mean synthesis.rows?" in text
    assert "training.lora_rank='x'" in text
    assert "'rows' is not section.name=value." in text
    assert "data.rows=0: Input should be greater than or equal to 1." in text


def test_an_unknown_profile_names_the_nearest():
    with pytest.raises(RequestError, match="There is no profile 'demmo'. Did you mean demo\\?"):
        load("demmo")


def test_every_setting_has_a_meaning():
    assert all(meanings().values())


def test_how_is_left_out_of_keys_and_what_is_in():
    settings = Settings()
    assert "log_every" not in settings.stage2.result_settings()
    assert "micro_batch" not in settings.stage2.result_settings()
    assert "dir" not in settings.market.result_settings()
    assert settings.stage2.result_settings()["effective_batch"] == 8
