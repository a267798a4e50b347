"""What can go wrong between us and a real Ollama."""

import re
import subprocess
import time
from contextlib import closing, contextmanager
from dataclasses import replace

import httpx
import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.processes.child import stop_child
from tasks.core.processes.server import Program, free_port, start_server
from tasks.core.serving.ollama import OllamaServer, read_parameters
from tasks.core.serving.ollama_api import answers
from tasks.core.serving.ollama_host import host_url
from tasks.core.serving.registration import promote, rollback
from tasks.core.serving.servers import free_card
from tests.serving.conftest import silent


@contextmanager
def running(binary, folder, shell="exec"):
    """A server of the user's own; `shell` goes before its command."""
    url = f"http://127.0.0.1:{free_port()}"
    env = {
        "HOME": str(folder),
        "OLLAMA_MODELS": str(folder / "models"),
        "OLLAMA_HOST": url.removeprefix("http://"),
    }
    program = Program(["bash", "-c", f"{shell} '{binary}' serve"], env)
    process = start_server(program, folder / "ollama.log", lambda: answers(url))
    server = OllamaServer(url, f"ollama {url}")
    try:
        yield server, process
    finally:
        server.close()
        stop_child(process)


@pytest.mark.slow
def test_a_misspelt_parameter_is_refused_before_anything_is_sent(
    ollama, demo_gguf, modelfile, tmp_path
):
    misspelt = replace(modelfile, parameters={**modelfile.parameters, "repeat_penality": 1.0})
    with running(ollama.binary, tmp_path) as (server, _):
        with pytest.raises(
            RequestError, match=r"knows no parameter repeat_penality\. Known: .*repeat_penalty"
        ):
            server.create("m:one", demo_gguf, misspelt, silent)
        assert server.tags() == {}
        assert not list((tmp_path / "models" / "blobs").glob("sha256-*"))


@pytest.mark.slow
def test_what_is_registered_otherwise_is_named_and_removed(ollama, demo_gguf, modelfile, tmp_path):
    other = replace(
        modelfile, system="Be brief.", parameters={**modelfile.parameters, "temperature": 1.5}
    )
    with running(ollama.binary, tmp_path) as (server, _):

        def overwrite(share, text):
            if text == "success":
                with closing(OllamaServer(server.url, "somebody else's")) as theirs:
                    theirs.create("m:one", demo_gguf, other, silent)

        with pytest.raises(
            WorkError,
            match=r"its system is 'Be brief\.', not .*its parameter temperature is 1\.5, not 0\.3",
        ):
            server.create("m:one", demo_gguf, modelfile, overwrite)
        assert server.tags() == {}


@pytest.mark.slow
def test_the_text_form_makes_the_same_model(ollama, demo_gguf, modelfile, tmp_path):
    (tmp_path / "Modelfile").write_text(modelfile.text(str(demo_gguf)), encoding="utf-8")
    with running(ollama.binary, tmp_path) as (server, _):
        command = [str(ollama.binary), "create", "m:file", "-f", str(tmp_path / "Modelfile")]
        env = {"HOME": str(tmp_path), "OLLAMA_HOST": server.url}
        subprocess.run(command, env=env, check=True, capture_output=True, timeout=120)
        server.create("m:api", demo_gguf, modelfile, silent)
        assert server.digest("m:file") == server.digest("m:api")


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", [r"[23] / \d+ MB uploaded", r"(\d+) / \1 MB uploaded", "parsing GGUF|writing"]
)
def test_a_server_killed_in_upload_or_creation(ollama, tiny_f16, modelfile, tmp_path, moment):
    with running(ollama.binary, tmp_path) as (server, process):

        def kill(share, text):
            if re.match(moment, text):
                process.kill()
                process.wait()

        with pytest.raises(
            WorkError, match=f"Ollama at {server.url} does not answer .*ollama serve"
        ):
            server.create("m:one", tiny_f16, modelfile, kill)
    with running(ollama.binary, tmp_path) as (server, _):
        left = server.tags()
        digest = server.create("m:one", tiny_f16, modelfile, silent)
        assert server.tags() == {"m:one": digest}
        # It tells of a creation in lines that may come when all is written already.
        assert left == {} or (left == {"m:one": digest} and "uploaded" not in moment)
        written = {file.name.partition("-")[2] for file in (tmp_path / "models/blobs").iterdir()}
        assert all(len(name) == 64 for name in written), "no half blob stays"


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["3 / ", "parsing GGUF"])
def test_kospilot_killed_in_upload_or_creation(ollama, tiny_f16, modelfile, tmp_path, moment):
    def end(share, text):
        if text.startswith(moment):
            raise KeyboardInterrupt

    with running(ollama.binary, tmp_path) as (server, _):
        with pytest.raises(KeyboardInterrupt):
            server.create("m:one", tiny_f16, modelfile, end)
        digest = server.create("m:one", tiny_f16, modelfile, silent)
        assert server.tags() == {"m:one": digest}


class Dying(OllamaServer):
    """A server that is killed before so many changes of names, or right after them."""

    def __init__(self, url, process, left, after):
        super().__init__(url, "dying")
        self.process, self.left, self.after = process, left, after

    def copy(self, source, target):
        self.change(super().copy, source, target)

    def delete(self, tag):
        self.change(super().delete, tag)

    def change(self, change, *names):
        if self.left == 0 and not self.after:
            self.end()
        change(*names)
        if self.left == 0:
            self.end()
        self.left -= 1

    def end(self):
        self.process.kill()
        self.process.wait()


def die_in(move, binary, folder, left, after):
    """Moves a name on a server that is killed meanwhile."""
    with (
        running(binary, folder) as (server, process),
        closing(Dying(server.url, process, left, after)) as dying,
        pytest.raises(WorkError, match="does not answer .*ollama serve"),
    ):
        move(dying)


@pytest.mark.slow
def test_a_server_killed_as_a_name_moves(ollama, tiny_f16, modelfile, tmp_path):
    """The same command, asked again, ends as an undisturbed one: no name is lost."""
    with running(ollama.binary, tmp_path) as (server, _):
        old = server.create("m:1", tiny_f16, modelfile, silent)
        new = server.create("m:2", tiny_f16, replace(modelfile, system="Other."), silent)
    names = {"m:1": old, "m:2": new}
    for left, after in ((0, False), (1, False), (1, True), (2, False), (2, True)):
        with running(ollama.binary, tmp_path) as (server, _):
            server.copy("m:1", "m:latest")
            server.delete("m:previous")
        die_in(lambda dying: promote(dying, "m:2", new, "m"), ollama.binary, tmp_path, left, after)
        with running(ollama.binary, tmp_path) as (server, _):
            promote(server, "m:2", new, "m")
            assert server.tags() == {**names, "m:latest": new, "m:previous": old}
    for left in range(4):
        die_in(lambda dying: rollback(dying, "m"), ollama.binary, tmp_path, left, after=False)
        with running(ollama.binary, tmp_path) as (server, _):
            assert rollback(server, "m") == new
            assert server.tags() == {**names, "m:latest": old, "m:previous": new}
            promote(server, "m:2", new, "m")


@pytest.mark.slow
def test_a_name_that_a_killed_server_had_half_written(ollama, tiny_f16, modelfile, tmp_path):
    with running(ollama.binary, tmp_path) as (server, _):
        old = server.create("m:1", tiny_f16, modelfile, silent)
        server.copy("m:1", "m:latest")
    (half,) = (tmp_path / "models" / "manifests").rglob("latest")
    half.write_text("")
    with running(ollama.binary, tmp_path) as (server, _):
        assert server.tags() == {"m:1": old}
        promote(server, "m:1", old, "m")
        assert server.tags() == {"m:1": old, "m:latest": old}


@pytest.mark.slow
def test_a_model_that_answers_can_be_made_again_and_removed(ollama, tiny_f16, modelfile, tmp_path):
    with running(ollama.binary, tmp_path) as (server, _):
        digest = server.create("m:one", tiny_f16, modelfile, silent)
        body = {"model": "m:one", "messages": [{"role": "user", "content": "Count to 1000."}]}
        url = f"{server.url}/api/chat"
        with httpx.stream("POST", url, json=body, trust_env=False, timeout=60) as answer:
            lines = answer.iter_lines()
            next(lines)
            assert server.create("m:one", tiny_f16, modelfile, silent) == digest
            server.delete("m:one")
            assert server.tags() == {}
            assert next(lines), "the answer goes on"


@pytest.mark.slow
def test_a_disk_that_takes_no_more(ollama, demo_gguf, modelfile, tmp_path):
    with running(ollama.binary, tmp_path, shell="ulimit -f 20000; exec") as (server, _):
        with pytest.raises(
            WorkError, match=r"file too large\. Free some space where Ollama|does not answer"
        ):
            server.create("m:one", demo_gguf, modelfile, silent)
        assert server.tags() == {}


@pytest.mark.slow
def test_a_training_gets_the_card_back_from_our_models_only(
    ollama, demo_gguf, modelfile, tmp_path, monkeypatch
):
    with running(ollama.binary, tmp_path) as (server, _):
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        server.create("kospi-s3:latest", demo_gguf, modelfile, silent)
        server.count_tokens("kospi-s3:latest", [{"role": "user", "content": "1"}])
        free_card("kosp")
        time.sleep(1)
        assert server.loaded() == ["kospi-s3:latest"]
        free_card("kospi")
        deadline = time.monotonic() + 20
        while server.loaded():
            assert time.monotonic() < deadline
            time.sleep(0.1)
    free_card("kospi")  # and a server that is gone holds nothing


@pytest.mark.slow
def test_a_second_upload_sends_nothing(ollama, demo_gguf, modelfile, tmp_path):
    with running(ollama.binary, tmp_path) as (server, _):
        server.create("m:one", demo_gguf, modelfile, silent)
        seen = []
        server.create("m:two", demo_gguf, modelfile, lambda share, text: seen.append(text))
        assert not any("uploaded" in text for text in seen)
        assert server.digest("m:one") == server.digest("m:two")


@pytest.mark.parametrize(
    "named",
    [
        "ftp://box",
        "tcp://127.0.0.1:11434",
        "box:port",
        "localhost:abc",
        "127.0.0.1:99999",
        "127.0.0.1:-1",
        "127.0.0.1:0",
        "http://[::1",
        "http://me:secret@box",
        "http://me:secret@[/api",
        "http://me:secret@ho\u2100st",
        "me:secret@box/api",
        "http://box?key=1",
        "box#models",
        "two words",
        "box\n11434",
        "box:11434:5",
    ],
)
def test_an_address_that_is_none_is_refused(monkeypatch, named):
    monkeypatch.setenv("OLLAMA_HOST", named)
    with pytest.raises(RequestError, match=r"OLLAMA_HOST is .* Type HOST:PORT") as refused:
        host_url()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("named", "url"),
    [
        ("", None),
        ("localhost", "http://localhost:11434"),
        ("10.0.0.5:8080", "http://10.0.0.5:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":1234", "http://127.0.0.1:1234"),
        ("https://models.example.com", "https://models.example.com:443"),
        ("[::1]:11434", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("HTTP://Box:80/", "http://box:80"),
        ("box/ollama/", "http://box:11434/ollama"),
        ("https://box/a/b", "https://box:443/a/b"),
        ("'127.0.0.1:11434 '", "http://127.0.0.1:11434"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(monkeypatch, named, url):
    monkeypatch.setenv("OLLAMA_HOST", named)
    assert host_url() == url


def test_parameters_are_read_from_what_show_prints():
    text = (
        "num_ctx                        1024\n"
        'stop     "<|im_end|>"\n'
        'stop     "<|im_start|>"\n'
        "temperature   0.3"
    )
    expected = {"num_ctx": 1024, "stop": ["<|im_end|>", "<|im_start|>"], "temperature": 0.3}
    assert read_parameters(text) == expected
