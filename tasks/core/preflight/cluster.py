"""A Ray cluster as the place of trials: who answers there, and which of its nodes can run one.

A trial reads the base and the rows where they lie, so KOSPILOT_HOME must be one folder that the
nodes share with this machine, at the same path. Nothing is uploaded either: each node has the same
kospilot installed, whose libraries a trial needs anyway. Both are checked before anything begins.
Reads the cluster's list of nodes and asks each of them. The extra `ray` brings the library.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import os
import re
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from tasks.core.errors import RequestError, WorkError
from tasks.core.training.spec import TrainingSpec

_ADDRESS = re.compile(r"(ray://)?(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}")
_ANSWER_S = 5.0
_LOOK_S = 120.0  # a node starts a Python for it, which takes 5 s on two slow cores


@dataclass(frozen=True)
class Node:
    """A living node of the cluster."""

    identity: str  # Ray's own
    name: str  # as people know it: the host's name and its address
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Placement:
    """What each trial takes of a node, and the nodes that have it."""

    on_gpu: bool
    nodes: list[Node]

    @property
    def options(self) -> dict[str, Any]:
        """Ray's options of a trial: a GPU of its own, or one CPU.

        Ray shows a trial without a GPU those of its node, which may be another's.
        """
        if self.on_gpu:
            return {"num_cpus": 1, "num_gpus": 1}
        return {"num_cpus": 1, "runtime_env": {"env_vars": {"CUDA_VISIBLE_DEVICES": ""}}}


@dataclass(frozen=True)
class Seen:
    """What a machine has of what a trial needs."""

    kospilot: str  # its version and a digest of its code; empty without one
    missing: list[str]  # of the paths that a trial reads
    away: str  # why Prefect's server is not reached; empty if it is


@contextlib.contextmanager
def joined(address: str, env: Mapping[str, str]) -> Iterator[None]:
    """Is a client of the cluster while this block lasts; what it has started there ends with it.

    address: HOST:PORT on a machine of the cluster, ray://HOST:10001 on any other. env: what the
    workers' environment has in addition. Raises RequestError if no cluster is to be used there.
    """
    if not _ADDRESS.fullmatch(address):
        raise RequestError(
            f"--ray {address} is no address: HOST:6379 on a machine of the cluster,"
            " ray://HOST:10001 on another."
        )
    ray = _library()
    _check_answers(address)
    try:
        _join(ray, address, env)
    except (OSError, RuntimeError, ValueError) as error:
        raise RequestError(
            f"The Ray cluster at {address} cannot be used ({error}). HOST:6379 is for a machine of"
            " the cluster, ray://HOST:10001 for any other."
        ) from error
    try:
        yield
    except ray.exceptions.RayError as error:
        raise WorkError(f"A trial was lost on the Ray cluster: {_words(error)}") from error
    finally:
        ray.shutdown()


def _join(ray: ModuleType, address: str, env: Mapping[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the error says the same
        ray.init(
            address,
            namespace="kospilot",
            runtime_env={"env_vars": dict(env)},
            log_to_driver=False,
            logging_level="ERROR",
        )


def _words(error: Exception) -> str:
    """What one of Ray's errors says first; a traceback and numbers of its own follow."""
    told = str(getattr(error, "cause", None) or error).strip()
    return told.partition("\n")[0]


def _library() -> ModuleType:
    # prefect_ray is only looked for: it imports Prefect, whose settings may not be settled yet.
    if not (importlib.util.find_spec("ray") and importlib.util.find_spec("prefect_ray")):
        raise RequestError(
            "--ray needs Ray's library, on this machine and on the nodes: `uv sync --extra ray`."
        )
    return importlib.import_module("ray")


def _check_answers(address: str) -> None:
    """Raises RequestError if nobody speaks Ray's protocol there: Ray itself would try for minutes.

    With RAY_USE_TLS it is left to Ray, which knows the certificates.
    """
    if os.environ.get("RAY_USE_TLS", "0") != "0":
        return
    # Without it, gRPC remarks on stderr on each program that is started from here on.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    import grpc  # noqa: PLC0415 - reads the environment

    direct = [("grpc.enable_http_proxy", 0)]  # as Ray does
    with grpc.insecure_channel(address.removeprefix("ray://"), options=direct) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_ANSWER_S)
        except grpc.FutureTimeoutError:
            raise RequestError(
                f"No Ray cluster answers at {address}. `ray start --head --port=6379` starts one;"
                " its last lines name the address."
            ) from None


def place_trials(gpu: bool | None) -> Placement:
    """Returns where trials go in the cluster that this process has joined (place)."""
    return place(living_nodes(_library().nodes()), gpu)


def living_nodes(listed: Iterable[Mapping[str, Any]]) -> list[Node]:
    """Returns the nodes of Ray's own list that are alive, by their names."""
    nodes = []
    for node in listed:
        if node["Alive"]:
            name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            has = node["Resources"]
            nodes.append(Node(node["NodeID"], name, has.get("CPU", 0), has.get("GPU", 0)))
    return sorted(nodes, key=lambda node: node.name)


def place(nodes: list[Node], gpu: bool | None) -> Placement:
    """Returns where trials go: to GPUs or to CPUs; gpu=None means GPUs if there are any.

    Raises RequestError if no node has what a trial takes.
    """
    with_gpu = [node for node in nodes if node.gpus >= 1 and node.cpus >= 1]
    with_cpu = [node for node in nodes if node.cpus >= 1]
    if gpu and not with_gpu:
        raise RequestError(
            f"No node of the cluster has a GPU and a CPU for a trial: {_resources(nodes)}. Leave"
            " --gpu out, or start a node on a machine that has one (`ray start --num-gpus`)."
        )
    if not with_cpu:
        raise RequestError(f"No node of the cluster has a CPU for a trial: {_resources(nodes)}.")
    if with_gpu and gpu is not False:
        return Placement(True, with_gpu)
    return Placement(False, with_cpu)


def _resources(nodes: list[Node]) -> str:
    told = [f"{node.name} has {node.cpus:g} CPUs and {node.gpus:g} GPUs" for node in nodes]
    return ", ".join(told) or "it has no nodes"


def check_nodes(placement: Placement, spec: TrainingSpec, server: str) -> None:
    """Asks each node of a placement whether it can run trials of what a spec describes.

    server: the address of Prefect's API, without which no task begins. Raises RequestError if a
    node cannot (check_seen), or does not say.
    """
    ray = _library()
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    look = _inquiry([spec.base, spec.rows], server)
    ours = Seen(*look())
    asked = ray.remote(num_cpus=0)(look)
    answers = []
    for node in placement.nodes:
        there = strategies.NodeAffinitySchedulingStrategy(node.identity, soft=False)
        answers.append(asked.options(scheduling_strategy=there).remote())
    for node, answer in zip(placement.nodes, answers, strict=True):
        try:
            theirs = Seen(*ray.get(answer, timeout=_LOOK_S))
        except ray.exceptions.RayError as error:
            raise RequestError(f"{node.name} cannot be asked: {_words(error)}") from error
        check_seen(node.name, theirs, ours)
        check_reached(node.name, theirs, server)


def _inquiry(paths: list[str], server: str) -> Callable[[], tuple[str, list[str], str]]:
    """Returns a function that says, where it runs, what Seen holds.

    Ray sends an inner function as code, and one of a module as a name. So this one names nothing of
    kospilot's, and a node with another kospilot answers too.
    """

    def look() -> tuple[str, list[str], str]:
        missing = [path for path in paths if not Path(path).exists()]
        return name_code(), missing, why_away()

    def name_code() -> str:
        found = importlib.util.find_spec("tasks")
        if found is None or not found.submodule_search_locations:
            return ""
        folder = Path(found.submodule_search_locations[0])
        digest = hashlib.sha256()
        for file in sorted(folder.rglob("*.py")):
            digest.update(str(file.relative_to(folder)).encode())
            digest.update(file.read_bytes())
        try:
            return f"kospilot {version('kospilot')} (code {digest.hexdigest()[:8]})"
        except PackageNotFoundError:
            return ""

    def why_away() -> str:
        try:
            urllib.request.urlopen(f"{server}/health", timeout=_ANSWER_S).close()
        except urllib.error.HTTPError:  # it answers
            return ""
        except OSError as error:
            return str(getattr(error, "reason", error))
        return ""

    return look


def check_seen(name: str, theirs: Seen, ours: Seen) -> None:
    """Raises RequestError if a node has another kospilot, or does not see what trials read."""
    if theirs.kospilot != ours.kospilot:
        raise RequestError(
            f"{name} has {theirs.kospilot or 'no kospilot'}, and here is {ours.kospilot}: install"
            " the same one there, and start its node from that environment."
        )
    if theirs.missing:
        raise RequestError(
            f"{name} does not see {theirs.missing[0]}: KOSPILOT_HOME must be one folder that all"
            " nodes share, mounted there at the same path."
        )


def check_reached(name: str, theirs: Seen, server: str) -> None:
    """Raises RequestError if a node does not reach Prefect's server, without which no task runs."""
    if theirs.away:
        raise RequestError(
            f"{name} does not reach Prefect's server at {server} ({theirs.away}). Start one that"
            " all nodes reach (`kospilot server --host ADDRESS`), and name it in PREFECT_API_URL."
        )
