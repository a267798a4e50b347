"""Download: what identifies an input is known without fetching it, and what came from where is
recorded.
"""

import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow.parquet as pq
import pytest

from tasks.core.data import download
from tasks.core.data.download import choose_data_files, fetch_source, fingerprints
from tasks.core.data.normalize import normalize
from tasks.core.data.sources import SOURCES
from tasks.core.data.sources.own import own_source
from tasks.core.data.tables import read_columns, read_rows
from tasks.core.errors import RequestError
from tasks.core.files.memory import DigestMemory
from tasks.core.records.artifacts import no_progress
from tasks.core.settings.data import Data
from tasks.core.settings.profiles import load
from tasks.core.settings.tree import Model

DEMO = load("demo").settings
DEMO_ROWS = Path(download.__file__).parent / "demo"
COMMIT = "c0ffee" + "0" * 34


def prints(tmp_path, **changes):
    memory = DigestMemory(tmp_path / "digests.json")
    return fingerprints(
        DEMO.model, DEMO.data.model_copy(update=changes), tmp_path / "cache", memory.digest_of
    )


def krx_only(location):
    return Data(
        rows=2, krx_won=location, **{f"{s.name}_share": float(s.name == "krx_won") for s in SOURCES}
    )


def test_a_local_file_is_its_content_not_its_place(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(
            '{"prompt": "q", "original_response": "a"}\n', encoding="utf-8"
        )
    first, second = (prints(tmp_path, krx_won=str(tmp_path / f"{name}.jsonl")) for name in "ab")
    assert first == second != prints(tmp_path)
    (tmp_path / "b.jsonl").write_text(
        '{"prompt": "q", "original_response": "b"}\n', encoding="utf-8"
    )
    changed = prints(tmp_path, krx_won=str(tmp_path / "b.jsonl"))
    assert {name for name in first if first[name] != changed[name]} == {"krx_won"}


def test_a_source_without_a_share_is_not_asked_for(tmp_path):
    found = prints(
        tmp_path, krx_won="/nowhere.jsonl", krx_won_share=0.0, finance_instruct_share=0.6
    )
    assert set(found) == {
        "base",
        "finance_instruct",
        "sujet_finance",
        "trading_signals",
        "fin_sentiment",
    }


@pytest.mark.parametrize(
    ("location", "message"),
    [
        (
            "nowhere/rows.jsonl",
            r"data\.krx_won=nowhere/rows\.jsonl is not there\. Name a parquet, JSONL or CSV file",
        ),
        ("{folder}/rows.txt", r"rows\.txt is none of \.parquet, \.jsonl"),
        ("{folder}", r"The folder .* has no \.parquet, .*; it holds rows\.txt"),
        ("two words", r"data\.krx_won=two words is not there"),
    ],
)
def test_a_wrong_path_is_refused_before_anything_runs(tmp_path, location, message):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "rows.txt").write_text("q", encoding="utf-8")
    with pytest.raises(RequestError, match=message):
        prints(tmp_path, krx_won=location.format(folder=folder))


def test_a_missing_column_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "rows.jsonl").write_text(
        '{"promt": "q", "original_response": "a"}\n', encoding="utf-8"
    )
    with pytest.raises(
        RequestError, match=r"no column prompt, which krx_won needs\. Did you mean promt\?"
    ):
        prints(tmp_path, krx_won=str(tmp_path / "rows.jsonl"))


def test_of_a_data_set_the_training_files_of_one_format_are_taken():
    parts = [
        "data/train-00001-of-2.parquet",
        "data/train-00000-of-2.parquet",
        "data/test-00000-of-1.parquet",
    ]
    assert choose_data_files([*parts, "README.md"]) == sorted(parts[:2])
    assert choose_data_files(["trading.jsonl", "dev/rows.jsonl", "x.csv"]) == ["trading.jsonl"]
    assert choose_data_files(["README.md", "test.csv"]) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_the_demo_rows_have_the_published_columns_both_languages_and_some_dirt(source, tmp_path):
    shares = {f"{other.name}_share": float(other is source) for other in SOURCES}
    data = DEMO.data.model_copy(update={"rows": 40, **shares})
    (tmp_path / "sources").mkdir()
    file = next(path for path in DEMO_ROWS.iterdir() if path.stem == source.name)
    (tmp_path / "sources" / file.name).symlink_to(file)
    metrics = normalize(tmp_path / "sources", "strategy", data, tmp_path, lambda share, text: None)
    assert {names[0] for names in source.columns} <= set(read_columns(file))
    assert len(list(read_rows(file))) == metrics["rows_in"] >= 36
    assert sum(metrics["dropped"].values()) >= 3 and "duplicate" in metrics["dropped"]
    assert set(metrics["languages"]) == ({"ko"} if source.name == "krx_won" else {"ko", "en"})
    answers = [
        row["messages"][2]["content"]
        for row in pq.read_table(tmp_path / "rows.parquet").to_pylist()
    ]
    assert max(len(answer) for answer in answers) <= 260
    assert not re.search("[\u4e00-\u9fff]", " ".join(answers)), "Hanja in an answer"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's API as pinning and fetching use: one data set, one gated model."""

    rows = (
        b'{"prompt": "q", "original_response": "a"}\n{"prompt": "q2", "original_response": "a"}\n'
    )
    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path)
        path = self.path.partition("?")[0]
        if path in (
            f"/api/datasets/some/rows/revision/{revision}" for revision in ("main", COMMIT)
        ):
            siblings = [
                {"rfilename": "data/train.jsonl", "size": len(self.rows)},
                {"rfilename": "README.md", "size": 9},
            ]
            self._send(
                200, json.dumps({"id": "some/rows", "sha": COMMIT, "siblings": siblings}).encode()
            )
        elif path == f"/datasets/some/rows/resolve/{COMMIT}/data/train.jsonl":
            self._send(200, self.rows, {"ETag": '"0123456789abcdef"', "X-Repo-Commit": COMMIT})
        elif path.startswith("/api/models/some/gated"):
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif path.startswith("/api/datasets/some/rows"):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def _send(self, status, body, headers=()):
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **dict(headers),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


SCRIPT = """
import json, sys
from pathlib import Path
from tasks.core.data import download as step
from tasks.core.files.digests import digest_file
from tasks.core.errors import RequestError, WorkError
from tasks.core.settings.data import Data
from tasks.core.settings.tree import Model
model, data = Model(**json.loads(sys.argv[1])), Data(**json.loads(sys.argv[2]))
cache, out = Path(sys.argv[3]), Path(sys.argv[4])
try:
    print(json.dumps(step.fingerprints(model, data, cache, digest_file)))
    if data.rows == 2:
        source = next(iter(step.shares_of(data)))
        print(json.dumps(step.fetch_source(source, data, out, cache, lambda share, text: None)))
except (RequestError, WorkError) as error:
    print(type(error).__name__, error)
"""


def ask(tmp_path, endpoint, data, model=DEMO.model):
    """Runs in a process of its own, because huggingface_hub reads its endpoint on import."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
    }
    arguments = [
        model.model_dump_json(),
        data.model_dump_json(),
        str(tmp_path / "cache"),
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_hub_id_is_pinned_at_first_use_and_stays(tmp_path, hub):
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    found, origin = map(json.loads, ask(tmp_path, endpoint, krx_only("some/rows")))
    assert found["krx_won"] == f"some/rows@{COMMIT}"
    assert origin == {"from": "hub dataset some/rows", "revision": COMMIT}
    assert (tmp_path / "out/sources/krx_won.jsonl").read_bytes() == Hub.rows
    assert json.loads((tmp_path / "cache/pins.json").read_text()) == {
        "dataset/some/rows@main": COMMIT
    }
    offline = ask(
        tmp_path, "http://127.0.0.1:9", krx_only("some/rows").model_copy(update={"rows": 3})
    )
    assert json.loads(offline[0])["krx_won"] == f"some/rows@{COMMIT}"


def test_an_unreachable_hub_leaves_the_id_unpinned_and_fetching_says_what_to_do(tmp_path):
    found, error = ask(tmp_path, "http://127.0.0.1:9", krx_only("some/rows"))
    assert json.loads(found)["krx_won"] == "some/rows@main (not pinned yet)"
    assert error.startswith(
        "WorkError The Hugging Face hub could not be reached for the dataset some/rows"
    )
    assert error.endswith("name the copy: data.krx_won=FILE.")


@pytest.mark.parametrize(
    ("base", "rows", "message"),
    [
        ("some/gated", "some/rows", "The model some/gated is gated: accept its terms"),
        ("demo", "some/rosw", "The hub has no dataset some/rosw that you may read"),
        ("demo", "some/rows@v9", "The dataset some/rows has no revision 'v9'"),
    ],
)
def test_what_the_hub_does_not_give_is_refused_before_anything_runs(
    tmp_path, hub, base, rows, message
):
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    assert ask(tmp_path, endpoint, krx_only(rows), Model(base=base))[0].startswith(
        f"RequestError {message}"
    )


def test_hidden_files_are_no_data():
    paths = ["rows.jsonl", "._rows.jsonl", ".ipynb_checkpoints/rows.jsonl", "__MACOSX/rows.jsonl"]
    assert choose_data_files(paths) == ["rows.jsonl"]


def test_a_folder_of_save_to_disk_is_named_as_such(tmp_path):
    for name in ("data-00000-of-00001.arrow", "dataset_info.json", "state.json"):
        (tmp_path / name).write_text("{}")
    data = Data(own=str(tmp_path), own_share=1)
    with pytest.raises(RequestError, match=r"written by datasets' save_to_disk.*to_parquet"):
        fetch_source(own_source(data), data, tmp_path / "out", tmp_path / "cache", no_progress)
