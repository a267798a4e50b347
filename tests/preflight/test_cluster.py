"""`kospilot train sweep --ray`: which nodes of a cluster are fit for trials, and a real one of two
nodes on loopback.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tasks.core.errors import RequestError
from tasks.core.preflight import cluster
from tasks.core.preflight.cluster import (
    Node,
    Placement,
    Seen,
    check_reached,
    check_seen,
    living_nodes,
    place,
)
from tasks.core.processes.child import start_child, stop_child
from tasks.core.processes.server import free_port
from tests.chain.test_adoption import of, publish
from tests.tiny import chat_rows, make_base, write_jsonl

HEAD = Node("a", "head (10.0.0.1)", cpus=2, gpus=0)
CARDS = Node("b", "cards (10.0.0.2)", cpus=8, gpus=4)
CODE = Path(cluster.__file__).parents[3]
PROGRAM = """
import sys
from pathlib import Path
from flows import cli
from tasks.core.preflight import prepare
from tests.chain.test_adoption import of
home = Path(sys.argv[1])
prepare.prepare = lambda profile, overrides: of(home, *overrides)
sys.argv = ["kospilot", "train", "sweep", "demo", "--steps", "1", *sys.argv[2:]]
cli.main()
"""


def test_trials_go_where_a_gpu_is_unless_a_cpu_is_asked_for():
    cpu = {"num_cpus": 1, "runtime_env": {"env_vars": {"CUDA_VISIBLE_DEVICES": ""}}}
    assert place([HEAD, CARDS], None) == place([HEAD, CARDS], True) == Placement(True, [CARDS])
    assert place([HEAD, CARDS], None).options == {"num_cpus": 1, "num_gpus": 1}
    assert place([HEAD, CARDS], False) == Placement(False, [HEAD, CARDS])
    assert place([HEAD], None) == Placement(False, [HEAD])
    assert place([HEAD], None).options == cpu


@pytest.mark.parametrize(
    ("nodes", "gpu", "told"),
    [
        (
            [HEAD],
            True,
            r"^No node of the cluster has a GPU and a CPU for a trial: head \(10.0.0.1\) has 2 CPUs"
            r" and 0 GPUs. Leave --gpu out, or start a node",
        ),
        ([Node("c", "bare", 0, 0)], None, "has a CPU for a trial: bare has 0 CPUs and 0 GPUs.$"),
        ([], None, "has a CPU for a trial: it has no nodes.$"),
    ],
)
def test_a_cluster_without_room_for_a_trial(nodes, gpu, told):
    with pytest.raises(RequestError, match=told):
        place(nodes, gpu)


def test_only_living_nodes_count():
    node = {"NodeID": "b", "NodeManagerHostname": "cards", "NodeManagerAddress": "10.0.0.2"}
    alive = {**node, "Alive": True, "Resources": {"CPU": 8.0, "GPU": 4.0, "memory": 1e9}}
    assert living_nodes([alive, {**node, "Alive": False, "Resources": {}}]) == [CARDS]


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (
            Seen("kospilot 9 (code b)", [], ""),
            "^cards has kospilot 9 .code b., and here is kospilot 1",
        ),
        (
            Seen("", ["/home/base"], ""),
            "^cards has no kospilot, and here is kospilot 1 .code a.: inst",
        ),
        (
            Seen("kospilot 1 (code a)", ["/home/base", "/home/rows"], ""),
            "^cards does not see /home/base: KOSPILOT_HOME must be one folder that all nodes share",
        ),
    ],
)
def test_a_node_that_cannot_run_trials(theirs, told):
    ours = Seen("kospilot 1 (code a)", [], "")
    check_seen("cards", ours, ours)
    with pytest.raises(RequestError, match=told):
        check_seen("cards", theirs, ours)


def test_a_node_that_reaches_no_server():
    server = "http://127.0.0.1:4200/api"
    check_reached("cards", Seen("kospilot 1", [], ""), server)
    with pytest.raises(
        RequestError,
        match="^cards does not reach Prefect's server at http://127.0.0.1:4200/api .Connection ref"
        "used.. Start one that all nodes reach .`kospilot server --host ADDRESS`., and name it",
    ):
        check_reached("cards", Seen("kospilot 1", [], "Connection refused"), server)


def test_a_place_is_looked_at_for_its_code_its_files_and_the_server(tmp_path):
    nobody = f"http://127.0.0.1:{free_port()}/api"
    code, missing, away = cluster._inquiry([str(tmp_path), str(tmp_path / "gone")], nobody)()
    assert code.startswith("kospilot 0.1.0 (code ")
    assert missing == [str(tmp_path / "gone")]
    assert "Connection refused" in away


def test_without_the_library_its_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(RequestError, match="^--ray needs Ray's library, .*`uv sync --extra ray`.$"),
        cluster.joined("127.0.0.1:6379", {}),
    ):
        pass


@pytest.mark.parametrize("address", ["auto", "host", "http://host:1", "host:", "a b:6379"])
def test_an_address_that_is_none(address):
    with (
        pytest.raises(RequestError, match=f"^--ray {address} is no address: HOST:6379 on a mach"),
        cluster.joined(address, {}),
    ):
        pass


needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None or sys.platform != "linux",
    reason="needs Ray (uv sync --extra ray), and Linux's addresses 127.0.0.x",
)


@needs_ray
def test_an_address_that_nobody_answers():
    address = f"127.0.0.1:{free_port()}"
    with (
        pytest.raises(RequestError, match=f"^No Ray cluster answers at {address}. `ray start"),
        cluster.joined(address, {}),
    ):
        pass


class Cluster:
    """Real nodes of one machine, each with an address and a host's name of its own."""

    def __init__(self, folder: Path):
        self.folder = folder  # a short one: a socket's path has at most 107 bytes
        self.address = f"127.0.0.2:{free_port()}"
        self.processes = []

    def start(self, name: str, *options: str, **env: str) -> None:
        """Starts a node with one CPU, and waits until it belongs to the cluster."""
        number = len(self.processes) + 2
        joins = [f"--address={self.address}"]
        if number == 2:
            port = self.address.rpartition(":")[2]
            joins = ["--head", f"--port={port}", f"--ray-client-server-port={free_port()}"]
        own = [f"--node-ip-address=127.0.0.{number}", f"--temp-dir={self.folder / name}"]
        ray = Path(sys.executable).with_name("ray")
        given = ["--num-cpus=1", "--object-store-memory=80000000", "--include-dashboard=false"]
        if number > 2:
            given.pop()
        log = self.folder / f"{name}.log"
        with log.open("w") as out:
            command = [ray, "start", "--block", "--disable-usage-stats", *joins, *own, *given]
            environment = {"KOSPILOT_HOST": name, **env}
            self.processes.append(start_child([*command, *options], environment, stdout=out))
        deadline = time.monotonic() + 120
        while "Ray runtime started" not in log.read_text():
            assert self.processes[-1].poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        """Ends the nodes, the head last."""
        for process in reversed(self.processes):
            stop_child(process)


@pytest.fixture
def two_nodes():
    """A head, and a node that is said to have a GPU."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    nodes = Cluster(folder)
    try:
        nodes.start("head", "--num-gpus=0")
        nodes.start("cards", "--num-gpus=1")
        yield nodes
    finally:
        nodes.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def home(tmp_path):
    """A store that holds what Stage 2 reads."""
    top = tmp_path / "home"
    folders = {name: tmp_path / name for name in ("download", "market", "synthesize")}
    make_base(folders["download"] / "base")
    for file in ("download/sources/rows.csv", "market/train/days", "market/holdout/days"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("a\n")
    folders["synthesize"].mkdir()
    write_jsonl(folders["synthesize"] / "rows.jsonl", chat_rows(12))
    for name, folder in folders.items():
        publish(of(top), name, folder)
    return top


def sweep(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the command does, in a process of its own."""
    command = [sys.executable, "-c", PROGRAM, str(home), *arguments]
    env = {**os.environ, "KOSPILOT_HOME": str(home)}
    return subprocess.run(command, env=env, cwd=CODE, capture_output=True, text=True, timeout=600)


@needs_ray
@pytest.mark.slow
def test_trials_run_on_the_nodes_of_a_real_cluster(two_nodes, home, tmp_path):
    def placed(*arguments: str) -> list[tuple[int, str]]:
        done = sweep(home, "--ray", two_nodes.address, "--json", *arguments)
        assert done.returncode == 0, done.stderr
        results = json.loads(done.stdout)
        assert all(line["steps"] == 1 and line["loss"] > 0 for line in results)
        return [(line["rank"], line["node"]) for line in results]

    assert placed("--ranks", "4") == [(4, "cards")]
    on_cpus = placed("--ranks", "2,8", "--cpu")
    assert [rank for rank, _ in on_cpus] == [2, 8]
    assert {node for _, node in on_cpus} == {"head", "cards"}

    other = tmp_path / "other" / "kospilot-9.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: kospilot\nVersion: 9.9\n")
    two_nodes.start("old", "--num-gpus=0", PYTHONPATH=str(other.parent))
    refused = sweep(home, "--ray", two_nodes.address, "--ranks", "4", "--cpu")
    assert refused.returncode == 2
    assert "(127.0.0.4) has kospilot 9.9 (code" in " ".join(refused.stderr.split())
