"""download, as a task: a base model that could not be served in the end is refused at the
beginning.
"""

import json
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

import tasks.data
from tasks.core.chain.produce import Job
from tasks.core.errors import RequestError
from tasks.core.settings.profiles import load


def test_a_template_that_cannot_be_served_is_refused_with_the_download(tmp_path, monkeypatch):
    def fetch(model, data, cache, out, progress):
        (out / "base").mkdir()
        config = {
            "chat_template": "{% for m in messages %}[INST]{{ m.content }}{% endfor %}",
            "eos_token": "</s>",
        }
        (out / "base" / "tokenizer_config.json").write_text(json.dumps(config))

    monkeypatch.setattr(tasks.data, "fetch", fetch)
    run = SimpleNamespace(settings=load("demo").settings, home=tmp_path)
    with pytest.raises(RequestError, match="is not ChatML, and ChatML is what kospilot serves"):
        tasks.data._download(
            Job(run, None, "k", {}, tmp_path, lambda part, text: None, ExitStack())
        )
