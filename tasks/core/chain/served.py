"""Whether model servers still hold what the store's register artifacts put there.

Reads the weights in KOSPILOT_HOME/serving and in Ollama's own store where it can be read, and asks
an Ollama of OLLAMA_HOST for its models' digests otherwise.
"""

from dataclasses import dataclass
from pathlib import Path

from tasks.core.chain.manifest import Manifest
from tasks.core.chain.plan import ServerProblem
from tasks.core.chain.store import Store
from tasks.core.serving import embedded_registry
from tasks.core.serving.weights import find_ollama_blobs, is_damaged


@dataclass(frozen=True)
class Held:
    """A model on a server, and what is wrong with it; None if it is intact."""

    tag: str
    problem: str | None


def verify_served(store: Store, home: Path, server_problem: ServerProblem) -> list[Held]:
    """Reads all weights that kospilot's models are served from.

    The register artifact of a damaged model is marked, so that the next run registers it again. A
    damaged file of a private Ollama is removed, because Ollama would take it for the new upload.
    """
    models = []
    for name, fault in embedded_registry.find_problems(home / "serving").items():
        models.append(Held(name, fault))
    for manifest in store.manifests("register"):
        tag, server = manifest.metrics.get("tag"), manifest.metrics.get("server")
        if not isinstance(tag, str) or server == "embedded":
            continue
        problem = _problem_on_ollama(store, home, manifest, server_problem)
        if problem:
            store.mark_damaged("register", manifest.key, problem)
        models.append(Held(tag, problem))
    return models


def _problem_on_ollama(
    store: Store, home: Path, manifest: Manifest, server_problem: ServerProblem
) -> str | None:
    quantized = store.manifest("quantize", manifest.lineage.get("quantize", ""))
    weights = quantized.files.get("model.gguf") if quantized else None
    blobs = find_ollama_blobs(home, weights[1]) if weights else []
    for blob in blobs:
        if is_damaged(blob):
            remedy = ". Remove this file before the next run, or Ollama keeps it."
            if _remove_if_ours(blob, home):
                remedy = " (removed)"
            return f"the content of its weights changed: {blob}{remedy}"
    if blobs:
        return None
    return server_problem(str(manifest.metrics["tag"]), str(manifest.metrics.get("digest")))


def _remove_if_ours(blob: Path, home: Path) -> bool:
    """Removes a private Ollama's file, and returns whether it was one."""
    if not blob.is_relative_to(home):
        return False
    blob.unlink()
    return True
