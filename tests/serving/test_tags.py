"""What models are called: a release's own models are told from another's."""

import pytest

from tasks.core.serving.tags import belongs_to, temporary_tag


def test_a_temporary_tag_names_its_purpose_and_its_step():
    key = "0123456789abcdef"
    assert temporary_tag("kospi", "base", key) == "kospi-base:01234567"
    assert temporary_tag("kospi", "rejects", key) == "kospi-rejects:01234567"


@pytest.mark.parametrize(
    "tag",
    [
        "kospi:latest",
        "kospi-s2:0123",
        "kospi-s3:previous",
        "kospi-base:0123",
        "kospi-stage1:0123",
        "kospi-f16:0123",
        "kospi-rejects:0123",
        "kospi-rehearsal:0123",
    ],
)
def test_a_releases_models_belong_to_its_name(tag):
    assert belongs_to(tag, "kospi")
    assert not belongs_to(tag, "kosp")
    assert not belongs_to(f"other/{tag}", "kospi")


def test_a_dot_in_a_name_is_a_dot():
    assert belongs_to("qwen2.5:latest", "qwen2.5")
    assert not belongs_to("qwen2x5:latest", "qwen2.5")
