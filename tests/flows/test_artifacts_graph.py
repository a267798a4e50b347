"""kospilot artifacts graph: which artifact a name means, and what the picture tells of it."""

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from flows.cli import app
from tasks.core.chain.store import Store
from tasks.core.errors import RequestError
from tasks.core.serving.embedded import EmbeddedServer
from tasks.core.serving.modelfile import Modelfile
from tasks.core.settings.home import kospilot_home
from tests.chain.stores import publish, recipe
from tests.serving.conftest import no_ollama, silent  # noqa: F401

pytestmark = pytest.mark.usefixtures("no_ollama", "here")
SOURCES = {
    "base": {"from": "Qwen/Qwen2.5-7B-Instruct", "revision": "a09a35458c70"},
    "krx_won": {"from": "krx/won", "revision": "77"},
}
MARKET = {
    "days": 500,
    "first": "2024-01-09",
    "last": "2025-12-30",
    "generated": True,
    "train_until": "2025-09-30",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def store():
    return Store(kospilot_home() / "artifacts")


def release(store, tag, digest, loss, promoted=True):
    """A chain of a few bytes, up to its promotion."""

    def made(step, metrics, *upstream, **settings):
        lineage = {other.recipe.step: other.key for other in upstream}
        how = recipe(step, **settings)
        return publish(store, how, {"a.bin": tag}, lineage=lineage, metrics=metrics)

    download = made("download", SOURCES)
    market = made("market", MARKET, **{"market.train_until": "month"})
    training = {"stage2.seed": loss, "stage2.rate": 5e-05}
    stage = made("stage2", {"eval_loss": loss}, download, market, **training)
    registered = made("register", {"tag": tag, "digest": digest}, stage, tag=tag)
    answers = {"released": {"grade": 0.8916, "fully_right": 1 / 3}}
    evaluation = made("evaluate", answers, registered, market, tag=tag)
    metrics = {"tag": tag, "promoted": promoted, "name": "kospi", "digest": digest}
    made("promote", metrics, registered, evaluation, tag=tag)
    return stage


def graph(*arguments):
    done = CliRunner().invoke(app, ["artifacts", "graph", *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    picture = ElementTree.parse(done.stdout.strip()).getroot()
    return [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]


def test_market_base_sources_and_settings_stand_behind_a_tag(store):
    stage = release(store, "kospi:aa", "d1", 0.0366)
    told = graph("kospi:aa")
    download, market = (store.manifests(step)[0].key[:8] for step in ("download", "market"))
    assert told[:4] == [
        "What stands behind kospi:aa",
        f"Base {download}: Qwen/Qwen2.5-7B-Instruct a09a35458c70",
        "Sources: krx_won",
        f"Market {market}: 500 days, 2024-01-09 to 2025-12-30 (generated, not real);"
        " trained on until 2025-09-30",
    ]
    assert stage.key in told
    assert "held-out loss 0.0366" in told
    assert "mean grade 0.89, fully right 33 %" in told
    assert "stage2: rate=5e-05, seed=0.0366" in told
    assert "kospi:aa, promoted" in told


def test_the_newest_release_is_drawn_by_default_and_any_artifact_by_its_key(store):
    stage = release(store, "kospi:aa", "d1", 0.5)
    release(store, "kospi:bb", "d2", 0.25)
    assert graph()[0] == "What stands behind kospi:bb"
    assert Path("kospi-bb.svg").exists()
    told = graph(stage.key[:9], "--out", "stage.svg")
    assert "held-out loss 0.5000" in told and "held-out loss 0.2500" not in told
    assert not any("promoted" in text for text in told)


def test_a_refused_release_is_not_drawn_by_default(store):
    release(store, "kospi:aa", "d1", 0.5)
    release(store, "kospi:bb", "d2", 0.25, promoted=False)
    assert graph()[0] == "What stands behind kospi:aa"


def test_a_name_means_what_the_server_holds_under_it(store, tmp_path):
    server = EmbeddedServer(kospilot_home())
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    digest = server.create("kospi:aa", tmp_path / "model.gguf", Modelfile("", "", {}), silent)
    release(store, "kospi:aa", digest, 0.5)
    release(store, "kospi:bb", "d2", 0.25)
    server.copy("kospi:aa", "kospi:latest")  # as a rollback leaves it
    assert "held-out loss 0.5000" in graph("kospi")


def test_a_model_of_others_and_an_unknown_name_are_refused(store, tmp_path):
    server = EmbeddedServer(kospilot_home())
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    server.create("theirs:1", tmp_path / "model.gguf", Modelfile("", "", {}), silent)
    release(store, "kospi:aa", "d1", 0.5)
    with pytest.raises(RequestError, match="theirs:1 is no model of this store"):
        graph("theirs:1")
    with pytest.raises(RequestError, match="There is no model 'kospy'"):
        graph("kospy")


def test_what_is_gone_damaged_or_expended_is_told(store):
    stage = release(store, "kospi:aa", "d1", 0.5)
    market, download = store.manifests("market")[0], store.manifests("download")[0]
    shutil.rmtree(store.path("market", market.key))
    shutil.rmtree(store.path("download", download.key))
    (store.path("stage2", stage.key) / "a.bin").unlink()
    told = graph("kospi:aa")
    gone = "gone: the store has no readable manifest of it"
    assert {f"Market {market.key[:8]}: {gone}", f"Base {download.key[:8]}: {gone}"} <= set(told)
    assert "damaged: a.bin is missing" in told


ODD = {
    "tag": 7,
    "rows": True,
    "released": 3,
    "promoted": "x",
    "quantization": None,
    "eval_loss": [],
}


def test_metrics_of_another_version_end_no_command(store):
    made = publish(store, recipe("download"), {"a.bin": "x"}, metrics={"base": "?", "x": {}})
    market = publish(store, recipe("market"), {"a.bin": "x"}, metrics={"train_until": None})
    lineage = {"download": made.key, "market": market.key}
    odd = publish(store, recipe("register"), {"a.bin": "x"}, lineage=lineage, metrics=ODD)
    told = graph(odd.key)
    assert f"Market {market.key[:8]}: ? days, ? to ? (imported); trained on until None" in told
    with pytest.raises(RequestError, match="There is no model 'None'"):
        graph("None")


def test_an_empty_store_and_a_place_that_is_not_there_are_refused(store):
    with pytest.raises(RequestError, match=r"The store is empty. `kospilot demo`"):
        graph()
    release(store, "kospi:aa", "d1", 0.5)
    with pytest.raises(RequestError, match="nowhere/a.svg cannot be written"):
        graph("kospi:aa", "--out", "nowhere/a.svg")
