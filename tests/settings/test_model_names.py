"""A model's name is refused with the settings if Ollama would refuse it after the training."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.settings.model_names import fault_of_name
from tasks.core.settings.profiles import load


@pytest.mark.parametrize(
    "name",
    ["kospi", "qwen2.5-kospi-ft", "me/kospi", "hub.example:8080/me/kospi:v1", "_a.b-c", "K:Q4"],
)
def test_names_that_ollama_takes(name):
    assert fault_of_name(name) == ""


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("my model", "'my model' is no name"),
        ("한글 모델", "is no name"),
        ("코스피모델", "is no name"),
        ("--help", "begins with a letter"),
        (".hidden", "is no name"),
        ("", "'' is no name"),
        ("kospi\n", "is no name"),
        ("../../x", "'..' is no namespace"),
        ("a.b/kospi", "'a.b' is no namespace"),
        ("a/b/c/kospi", "three parts at most"),
        ("kospi/", "'' is no name"),
        ("a" * 300, "at most 80"),
        ("kospi:", "'' is no tag"),
        ("kospi:v 1", "'v 1' is no tag"),
    ],
)
def test_names_that_ollama_refuses(name, fault):
    assert fault in fault_of_name(name)


@pytest.mark.parametrize("name", ["my model", "../../x", "--help", "a" * 300])
def test_a_release_is_not_called_so(name):
    with pytest.raises(RequestError, match=r"release\.name.*Ollama would refuse it, since"):
        load("demo", [f"release.name={name}"])


def test_a_releases_name_has_room_for_its_suffixes_and_no_tag():
    with pytest.raises(RequestError, match="leave the colon out") as with_tag:
        load("demo", ["release.name=kospi:v1"])
    with pytest.raises(RequestError, match="more than 70 characters") as too_long:
        load("demo", [f"release.name={'a' * 71}"])
    for refusal in (with_tag, too_long):
        assert "Ollama would refuse" not in str(refusal.value)  # the rule is kospilot's own
    assert load("demo", ["release.name=me/kospi"]).settings.release.name == "me/kospi"
