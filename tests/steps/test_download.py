"""download: a base model that could not be served in the end is refused at the beginning."""

import json

import pytest

from tasks.core.chain.produce import produce
from tasks.core.data import download as room
from tasks.core.errors import RequestError
from tasks.core.preflight.prepare import prepare


@pytest.fixture
def bracketed(monkeypatch):
    """A base whose template is of no family."""

    def fetch(model, data, cache, out, progress):
        (out / "base").mkdir()
        config = {
            "chat_template": "{% for m in messages %}[INST]{{ m.content }}{% endfor %}",
            "eos_token": "</s>",
        }
        (out / "base" / "tokenizer_config.json").write_text(json.dumps(config))
        return {}

    monkeypatch.setattr(room, "download", fetch)


def test_a_template_that_cannot_be_served_is_refused_with_the_download(bracketed):
    run = prepare("demo")
    with pytest.raises(
        RequestError, match=r"is none of ChatML, Llama-3.*\[INST\].*training\.template=any"
    ):
        produce(run, "download", {}, lambda share, text: None)
    assert not run.store.manifests("download")


def test_any_template_is_taken_if_that_is_asked_for(bracketed):
    run = prepare("demo", ["training.template=any"])
    produce(run, "download", {}, lambda share, text: None)
    assert run.store.manifests("download")
