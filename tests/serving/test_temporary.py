"""Models that are on a server for a step's time: they go, or are known to be there."""

import pytest

from flows.commands.artifacts import gc
from tasks.core.errors import WorkError
from tasks.core.serving.temporary import cross_out, lent, note_down, noted
from tests.serving.conftest import silent


class Server:
    """A server that remembers what was removed, and may be gone when it is asked to."""

    name = "ollama private"

    def __init__(self, gone=False):
        self.gone = gone
        self.deleted = []

    def unload(self, tag):
        pass

    def delete(self, tag):
        if self.gone:
            raise WorkError("the server is gone")
        self.deleted.append(tag)


def test_a_model_is_noted_while_it_is_there(tmp_path):
    server = Server()
    with lent(server, "a:b", tmp_path):
        assert noted(tmp_path) == {"a:b": server.name}
    assert server.deleted == ["a:b"]
    assert noted(tmp_path) == {}


@pytest.mark.parametrize("error", [WorkError("no answer"), KeyboardInterrupt("Ctrl-C")])
def test_it_goes_after_an_error_too(error, tmp_path):
    server = Server()
    with pytest.raises(type(error), match=str(error)), lent(server, "a:b", tmp_path):
        raise error
    assert server.deleted == ["a:b"]
    assert noted(tmp_path) == {}


def test_what_a_killed_server_may_still_hold_stays_noted(tmp_path):
    gone = Server(gone=True)
    with pytest.raises(WorkError, match="no answer"), lent(gone, "hub.box/a/b:c", tmp_path):
        raise WorkError("no answer")
    assert noted(tmp_path) == {"hub.box/a/b:c": gone.name}
    note_down(gone, "hub.box/a/b:c", tmp_path)
    cross_out("hub.box/a/b:c", tmp_path)
    assert noted(tmp_path) == {}


def test_gc_removes_what_a_killed_step_left_and_nothing_else(
    server, tiny_f16, modelfile, tmp_path, capsys
):
    home = tmp_path / "home"
    left, own = "Kospi-parity:0123abcd", "kospi:latest"
    note_down(server, left, home)
    for tag in (left, own):
        server.create(tag, tiny_f16, modelfile, silent)
    gc()
    assert f"model {left}" in capsys.readouterr().out.splitlines()
    assert len(server.tags()) == 2
    gc(yes=True)
    assert set(server.tags()) == {own}
    assert noted(home) == {}
