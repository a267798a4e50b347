"""Base models that come quantized: which of them can be trained and released.

Their config.json says it under quantization_config, as transformers writes it.
"""

from collections.abc import Mapping
from typing import Any

from tasks.core.errors import RequestError

_STORED_AS = "uint8"  # two weights a byte


def refuse_quantization(base: str, quantization: Mapping[str, Any] | None) -> None:
    """Refuses a base that comes quantized in another way than bitsandbytes' NF4.

    base: its folder or id; quantization: quantization_config of its config.json, None if there is
    none.
    """
    if quantization is None:
        return
    name = _name(quantization)
    if name == "bitsandbytes NF4":
        return
    raise RequestError(
        f"The base model {base} comes quantized as {name}, which cannot be trained; 16-bit weights"
        " and bitsandbytes NF4 can. Name the model that it was made from (its model card says"
        " which), or a bitsandbytes NF4 version of it (…-bnb-4bit): model.base=OWNER/NAME."
    )


def _name(quantization: Mapping[str, Any]) -> str:
    """Returns what kind of quantization this is, in its own words."""
    method = quantization.get("quant_method", "bitsandbytes")  # older files do not say it
    if method != "bitsandbytes":
        return str(method)
    if not quantization.get("load_in_4bit"):
        return "bitsandbytes int8"
    values = str(quantization.get("bnb_4bit_quant_type", "fp4")).upper()
    stored = quantization.get("bnb_4bit_quant_storage", _STORED_AS)
    if stored != _STORED_AS:
        return f"bitsandbytes {values} stored as {stored}"
    return f"bitsandbytes {values}"
