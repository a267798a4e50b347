"""The base model's shape, which plans and forecasts need before any weights are fetched.

Reads config.json of a local folder or of a hub repository; the bases that the profiles name are
known here.
"""

from pathlib import Path
from typing import Any

from tasks.core.data.base_model.folder import repo_of
from tasks.core.data.base_model.parts import read_shape
from tasks.core.data.hub import Repo, fetch_files, pinned_commit
from tasks.core.records.artifacts import no_progress

# config.json of the bases that the profiles name: their plans need neither the network nor a
# download
_SHAPES = {
    "Qwen/Qwen2.5-7B-Instruct": {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152_064,
        "tie_word_embeddings": False,
    },
    "demo": {
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49_152,
        "tie_word_embeddings": True,
    },
}


def base_config(location: str, cache: Path) -> dict[str, Any]:
    """The base model's config.json, found without its weights: the model's shape.

    Raises RequestError or WorkError if it cannot be had, or if the model cannot be trained.
    """
    if location == "demo":
        return _SHAPES["demo"]
    repo = repo_of(location)
    if repo is None:
        return read_shape(location, Path(location).expanduser() / "config.json")
    if repo.id in _SHAPES:
        return _SHAPES[repo.id]
    return read_shape(location, _fetch_config(repo, cache))


def _fetch_config(repo: Repo, cache: Path) -> Path:
    revision = pinned_commit(repo, cache) or repo.revision
    fetched = fetch_files(repo, revision, {"config.json": 1}, no_progress)
    return fetched["config.json"]
