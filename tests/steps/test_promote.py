"""promote: who gets the name, what is said of it, and what stays."""

import json
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from tasks.core.chain.store import Store
from tasks.core.errors import WorkError
from tasks.core.evaluation.evaluated import write_marks
from tasks.core.serving import servers
from tasks.core.serving.embedded import EmbeddedServer
from tasks.core.serving.modelfile import Modelfile
from tasks.core.serving.registration import promote, rollback
from tasks.core.settings.profiles import load
from tasks.core.steps.promote import STEP
from tests.evaluation.conftest import market, model_server, questions  # noqa: F401
from tests.evaluation.replies import evaluated

NAME = "kospilot-demo-s3"
MODELFILE = Modelfile("", "", {"num_ctx": 512, "num_predict": 64})


class Server(EmbeddedServer):
    """The embedded server's registry, whose models another server of the tests answers for."""

    openai_url = ""
    left = 99
    """Changes of names until the process is killed."""

    def copy(self, source, target):
        self._change()
        super().copy(source, target)

    def delete(self, tag):
        self._change()
        super().delete(tag)

    def _change(self):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1

    def names(self):
        return {tag: self.digest(tag) for tag in self.tags()}


@dataclass
class Place:
    """A server with a registered release, and a promote step that can run."""

    server: Server
    job: SimpleNamespace

    def put(self, tag, weights):
        """Registers a model under a tag and returns its digest."""
        file = self.job.home / "weights.gguf"
        file.unlink(missing_ok=True)  # what is registered is linked to it
        file.write_bytes(weights)
        return self.server.create(tag, file, MODELFILE, lambda share, text: None)

    def holder(self):
        return self.server.digest(f"{NAME}:latest")

    def run(self, questions, **wrong):  # noqa: F811
        """Promotes a release; so many replies of each model were wrong. Returns what it says."""
        for left in self.job.out.iterdir():  # other marks are another artifact
            left.unlink()
        write_marks(evaluated(questions, **wrong), self.job.folder("evaluate"))
        return self.resume()

    def resume(self):
        """Promotes what an attempt that was killed would have."""
        return STEP.build(self.job)


@pytest.fixture
def place(tmp_path, monkeypatch, questions):  # noqa: F811
    folders = {name: tmp_path / name for name in ("register", "evaluate", "promote", "home")}
    for folder in folders.values():
        folder.mkdir()
    lines = [json.dumps(vars(question)) for question in questions]
    (folders["evaluate"] / "questions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    job = SimpleNamespace(
        settings=load("demo").settings.declared(STEP.readable_settings),
        home=folders["home"],
        out=folders["promote"],
        progress=lambda share, text: None,
        folder=folders.get,
    )
    server = Server(job.home)

    @contextmanager
    def open_ours(home, only_on=None):
        yield server

    monkeypatch.setattr(servers, "open_server", open_ours)
    place = Place(server, job)
    digest = place.put(f"{NAME}:new", b"new weights")
    registration = {"tag": f"{NAME}:new", "digest": digest, "server": "embedded"}
    (folders["register"] / "registration.json").write_text(json.dumps(registration))
    return place


def test_a_release_no_better_than_its_base_keeps_its_tag_and_gets_no_name(place, questions):  # noqa: F811
    told = place.run(questions, base=2, released=2)
    assert told["promoted"] is False and told["against"] == "base"
    assert told["difference"]["value"] == 0
    assert "it answers no better" in told["reasons"][1]
    assert json.loads((place.job.out / "promotion.json").read_text()) == told
    assert place.holder() is None
    assert place.server.digest(f"{NAME}:new") == told["digest"]


def test_a_release_better_than_its_base_gets_the_name(place, questions):  # noqa: F811
    told = place.run(questions, base=12, released=0)
    assert told["promoted"] is True
    assert place.holder() == told["digest"]


def test_the_holder_is_asked_the_same_questions_and_stays_if_it_is_better(
    place,
    questions,  # noqa: F811
    model_server,  # noqa: F811
):
    right = {question.messages[-1]["content"]: question.reference for question in questions}
    model_server.reply = lambda body: right.get(body["messages"][-1]["content"], "")
    place.server.openai_url = model_server.endpoint.url
    old = place.put(f"{NAME}:latest", b"old weights")
    told = place.run(questions, base=24, released=1)
    assert told["against"] == "holder" and told["promoted"] is True, "one of 24 may be chance"
    assert place.server.digest(f"{NAME}:previous") == old
    place.put(f"{NAME}:latest", b"old weights")
    told = place.run(questions, base=24, released=12)
    assert told["promoted"] is False
    assert "it certainly answers worse" in told["reasons"][1]
    assert place.holder() == old
    asked = {body["model"] for body in model_server.requests}
    assert asked == {f"{NAME}:latest"}


def test_a_release_that_holds_the_name_is_not_weighed_against_itself(place, questions):  # noqa: F811
    place.server.copy(f"{NAME}:new", f"{NAME}:latest")
    told = place.run(questions, base=0, released=24)
    assert told["promoted"] is True and told["reasons"] == ["it holds the name already"]


def test_a_model_that_was_exchanged_under_the_tag_is_not_promoted(place, questions):  # noqa: F811
    place.put(f"{NAME}:new", b"somebody else's weights")
    with pytest.raises(WorkError, match=f"{NAME}:new on embedded is another model than the one"):
        place.run(questions, base=12, released=0)
    assert place.holder() is None


def test_one_that_is_exchanged_at_the_last_moment_does_not_keep_the_name(place, questions):  # noqa: F811
    old = place.put(f"{NAME}:latest", b"old weights")
    digest = place.server.digest(f"{NAME}:new")
    copy = place.server.copy

    def exchange_and_copy(source, target):
        if source == f"{NAME}:new":
            place.put(f"{NAME}:new", b"somebody else's weights")
        copy(source, target)

    place.server.copy = exchange_and_copy
    with pytest.raises(WorkError, match=f"{NAME}:latest on embedded is another model than"):
        promote(place.server, f"{NAME}:new", digest, NAME)
    assert place.holder() == old


def killed_after(server, changes, work):
    """Whether the work was killed after so many changes on the server; then it is done again."""
    server.left = changes
    try:
        work()
    except KeyboardInterrupt:
        killed = True
    else:
        killed = False
    server.left = 99
    return killed


def test_a_killed_promotion_is_decided_once(place, questions):  # noqa: F811
    undisturbed = place.run(questions, base=12, released=0)
    file = place.job.out / "promotion.json"
    content = file.read_bytes()
    for changes in range(3):
        place.server.delete(f"{NAME}:latest")
        killed = killed_after(
            place.server, changes, lambda: place.run(questions, base=12, released=0)
        )
        assert killed == (changes < 2)
        assert place.resume() == undisturbed
        assert file.read_bytes() == content
        assert place.holder() == undisturbed["digest"]


def test_a_decision_about_another_holder_is_made_anew(place, questions):  # noqa: F811
    place.run(questions, base=24, released=24)
    place.server.copy(f"{NAME}:new", f"{NAME}:latest")  # by hand
    assert place.resume()["reasons"] == ["it holds the name already"]


def test_a_killed_rollback_is_finished_and_not_undone(place):
    old = place.put(f"{NAME}:previous", b"old weights")
    new = place.put(f"{NAME}:latest", b"new weights")
    for changes in range(5):
        place.put(f"{NAME}:previous", b"old weights")
        place.put(f"{NAME}:latest", b"new weights")
        killed = killed_after(place.server, changes, lambda: rollback(place.server, NAME))
        assert killed == (changes < 4)
        if killed:
            assert place.holder() in (old, new)
            assert rollback(place.server, NAME) == new
        names = {f"{NAME}:latest": old, f"{NAME}:previous": new, f"{NAME}:new": new}
        assert place.server.names() == names


def test_without_a_base_only_readable_replies_are_promoted(place, questions):  # noqa: F811
    told = place.run(questions, released=24)
    assert told["promoted"] is False and told["against"] is None
    told = place.run(questions, released=0)
    assert told["promoted"] is True
    assert "is not known: the base was not asked" in told["reasons"][1]


def test_the_run_says_each_time_why_a_release_was_not_promoted(caplog, tmp_path):
    metrics = {"tag": "m:1", "promoted": False, "reasons": ["mean grade: worse", "schema: kept"]}
    settings = load("demo", ["release.keep_intermediates=true"]).settings
    promotion = SimpleNamespace(metrics=metrics, lineage={})
    STEP.after(settings, Store(tmp_path), promotion)
    assert caplog.messages == [
        "m:1 is not promoted: mean grade: worse; schema: kept. It stays under this tag; `kospilot"
        " promote m:1` gives it the name all the same."
    ]
    promoted = SimpleNamespace(metrics={**metrics, "promoted": True}, lineage={})
    STEP.after(settings, Store(tmp_path), promoted)
    assert len(caplog.messages) == 1
