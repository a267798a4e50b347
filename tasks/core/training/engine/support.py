"""Which models the engine can train, and which of their layers it adapts."""

from transformers import PreTrainedConfig

FAMILIES = ("llama", "mistral", "qwen2")
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""A layer's linear modules, all of which may have an adapter."""

_ROTARY = ("default", "linear", "llama3", "yarn")  # other types' angles depend on a row's length


def find_obstacle(config: PreTrainedConfig, max_length: int) -> str | None:
    """Returns why the engine cannot train a model of this configuration; None if it can.

    The words follow "because".
    """
    if config.model_type not in FAMILIES:
        return f"the base is a {config.model_type} model; the engine knows {', '.join(FAMILIES)}"
    if config.hidden_act != "silu":
        return f"the base's activation is {config.hidden_act}; the engine knows silu"
    window = _window(config)
    if window and window < max_length:
        return (
            f"the base attends over a window of {window} tokens, less than"
            f" training.max_length={max_length}"
        )
    rope = getattr(config, "rope_parameters", None) or {}
    rotary = rope.get("rope_type", "default")
    if rotary not in _ROTARY:
        return (
            f"the base's rotary positions are of type {rotary}; the engine knows"
            f" {', '.join(_ROTARY)}"
        )
    return None


def _window(config: PreTrainedConfig) -> int | None:
    """Returns how many tokens attention reaches back; None if it reaches back to all."""
    if not getattr(config, "use_sliding_window", True):
        return None
    return getattr(config, "sliding_window", None)
