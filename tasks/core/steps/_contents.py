"""Files of artifacts that several steps read."""

ADAPTER = ("adapter_config.json", "adapter_model.safetensors", "base.json")
"""The files of an adapter's folder that count; the card, curves and checks lie beside them.

Adapters that were made before there was a base.json have none, and keep their digests and keys.
"""

TOKENIZER = ("base/tokenizer*", "base/chat_template*", "base/special_tokens*")
"""The files of a download that say how a prompt is rendered and cut into tokens."""

HELD_LOGS = "held_logs.jsonl"
"""What synthesize keeps of a live system's logs for the evaluation, if logs are given."""
