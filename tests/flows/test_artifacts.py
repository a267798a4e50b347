"""kospilot artifacts gc: which models it removes from a server, and which notes it crosses out."""

import pytest

from flows.commands.artifacts import gc
from tasks.core.chain.store import Store
from tasks.core.serving.embedded import EmbeddedServer
from tasks.core.serving.modelfile import Modelfile
from tasks.core.serving.temporary import note_down, noted
from tasks.core.settings.home import kospilot_home
from tests.serving.conftest import no_ollama, silent  # noqa: F401

pytestmark = pytest.mark.usefixtures("no_ollama")
LEFT, NEW = "kospi-parity:0123abcd", "kospi-rejects:4567"


@pytest.fixture
def server(tmp_path):
    """The embedded server with a model that a killed step left."""
    home = kospilot_home()
    opened = EmbeddedServer(home)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    note_down(opened, LEFT, home)
    opened.create(LEFT, tmp_path / "model.gguf", Modelfile("", "", {}), silent)
    return opened


@pytest.fixture
def meanwhile(monkeypatch):
    """Lets something happen after gc has judged and before it removes."""

    def happens(event):
        tags = EmbeddedServer.tags

        def eventful(server):
            event()
            return tags(server)

        monkeypatch.setattr(EmbeddedServer, "tags", eventful)

    return happens


def test_a_note_of_a_step_that_began_meanwhile_stays(server, meanwhile):
    meanwhile(lambda: note_down(server, NEW, kospilot_home()))
    gc(yes=True)
    assert server.digest(LEFT) is None
    assert noted(kospilot_home()) == {NEW: "embedded"}


def test_a_model_stays_if_a_run_began_meanwhile_which_may_have_the_same_tag(
    server, meanwhile, capsys
):
    def run():
        with Store(kospilot_home() / "artifacts").running():
            pass

    meanwhile(run)
    gc(yes=True)
    assert server.digest(LEFT)
    assert noted(kospilot_home()) == {LEFT: "embedded"}
    assert "The models on embedded stay: a run began." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("ollama private", "gc removes it when OLLAMA_HOST is unset and Ollama is installed."),
        ("ollama http://box:11434", "gc removes it with OLLAMA_HOST=http://box:11434."),
    ],
)
def test_a_model_elsewhere_is_named_with_the_way_to_it(server, monkeypatch, capsys, name, remedy):
    server.name = name
    note_down(server, NEW, kospilot_home())
    gc()
    said = " ".join(capsys.readouterr().err.split())
    assert f"{NEW} may be on {name} still: {remedy}" in said


def test_a_damaged_note_ends_no_gc(server):
    folder = kospilot_home() / "serving" / "temporary"
    (folder / "empty").touch()
    (folder / "odd").write_bytes(b"\xff\xfe")
    gc(yes=True)
    assert server.digest(LEFT) is None
    assert noted(kospilot_home()).keys() == {"odd"}
