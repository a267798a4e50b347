"""From an adapter to one GGUF: merge, convert, quantize."""
