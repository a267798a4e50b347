"""Settings: profiles and overrides give the values of the specification, and mistakes are all shown
at once.
"""

import pytest

from tasks.core.errors import RequestError
from tasks.core.settings.profiles import load, meanings, profile_names
from tasks.core.settings.tree import Settings, Training


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_loads(profile):
    assert load(profile).profile == profile


def test_rows_that_nobody_kept_cannot_be_asked():
    settings = load("tool-calling").settings
    assert not settings.knows_strategy and settings.release_tag == "qwen2.5-tools"
    with pytest.raises(
        RequestError, match=r"(?s)data\.test_share=0 keeps none.*briefed, which has"
    ):
        load("tool-calling", ["data.test_share=0", "evaluation.models=[briefed]"])


def test_kospi_7b_is_the_table_of_the_specification():
    settings = load("kospi-7b").settings
    assert settings.model.base == "Qwen/Qwen2.5-7B-Instruct"
    assert (settings.data.rows, settings.synthesis.rows, settings.pairs.rows) == (
        200_000,
        5_000,
        2_000,
    )
    table = [
        (
            stage.epochs,
            stage.effective_batch,
            stage.micro_batch,
            stage.learning_rate,
            stage.save_every,
            stage.keep,
        )
        for stage in (settings.stage1, settings.stage2, settings.stage3)
    ]
    assert table == [(2, 16, 2, 2e-4, 500, 3), (3, 8, 2, 5e-5, 200, 3), (1, 8, 1, 5e-7, 200, 2)]
    assert (
        settings.training.lora_rank,
        settings.training.lora_alpha,
        settings.training.max_length,
    ) == (32, 16, 2048)


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
    assert "training.lora_rank=x: Input should be a valid integer" in text
    assert "'rows' is not section.name=value." in text
    assert "data.rows=0: Input should be greater than or equal to 1." in text


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("market.train_until=2025-06-30", "2025-06-30"),
        ("market.train_until=latest-250", "latest-250"),
        ("market.train_until=month", "month"),
        ("release.name=123", "123"),
        ("model.base=yes", "yes"),
        ("stage1.learning_rate=2e-4", 2e-4),
        ("stage1.learning_rate=1", 1.0),
        ("data.top_up=true", True),
        ("evaluation.baseline=false", False),
        ("stages.skip=[stage1, stage2]", ["stage1", "stage2"]),
        ("training.module_ranks={q_proj: 64, v_proj: 8}", {"q_proj": 64, "v_proj": 8}),
    ],
)
def test_a_value_is_read_as_its_setting_wants_it(override, value):
    section, name = override.partition("=")[0].split(".")
    assert getattr(getattr(load("demo", [override]).settings, section), name) == value


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            ["training.backend=jax"],
            "training.backend=jax: Input should be 'auto', 'engine', 'unsloth' or 'trl'",
        ),
        (["data.rows=[1"], "data.rows=[1 is not YAML; a list is [a, b]"),
        (
            ["market.train_until=soon"],
            "market.train_until=soon is neither a date (YYYY-MM-DD), `latest-N`",
        ),
        (["market.train_until=2025-13-01"], "market.train_until=2025-13-01 is neither a date"),
        (
            ["training.module_ranks={lm_head: 8}"],
            "lm_head gets no adapter: training.target_modules are q_proj, k_proj",
        ),
        (
            ["training.module_ranks={q_proj: 0}"],
            "training.module_ranks.q_proj=0: Input should be greater than or",
        ),
        (
            ["training.module_ranks={q_proj: 8}", "training.shrink=true"],
            "training.shrink=true: it would halve lora_rank only",
        ),
        (
            ["training.base_weights=nf4"],
            "training.base_weights=nf4: training.quantize_base=none makes no NF4 to hold;",
        ),
        (
            ["stage2.patience=2"],
            "stage2.patience=2: patience counts evaluations; set eval_every too.",
        ),
        (
            ["stage3.effective_batch=2", "stage3.micro_batch=3"],
            "stage3.micro_batch=3 does not divide stage3.effective_batch=2: choose 1, 2.",
        ),
        (
            ["release.num_ctx=1024"],
            "release.num_predict=2048 leaves no room for a prompt in release.num_ctx=1024",
        ),
        (
            ["training.max_length=1024"],
            "synthesis.token_budget=2000 makes rows that training.max_length=1024 leaves",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(overrides, told):
    with pytest.raises(RequestError) as caught:
        load("demo", [*overrides])
    assert told in str(caught.value)


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
    assert (
        not {"backend", "memory_gib", "cards", "base_weights"}
        & settings.training.result_settings().keys()
    )
    assert settings.stage2.result_settings()["effective_batch"] == 8
    assert "quantize_base" not in settings.training.result_settings()  # all were NF4 once
    assert Training(quantize_base="none").result_settings()["quantize_base"] == "none"
    assert "module_ranks" not in settings.training.result_settings()  # none is asked for
    asked = Training(module_ranks={"q_proj": 8})
    assert asked.result_settings()["module_ranks"] == {"q_proj": 8}


@pytest.mark.parametrize("profile", profile_names())
def test_a_profile_holds_only_differences(profile):
    resolved = load(profile)
    defaults = Settings()
    for name, origin in resolved.origins.items():
        section, field = name.split(".")
        value = getattr(getattr(resolved.settings, section), field)
        if origin != "default":
            assert value != getattr(getattr(defaults, section), field), f"{profile}: {name}"
