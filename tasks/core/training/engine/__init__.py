"""LoRA training of Llama, Qwen2 and Mistral models: few large operations, packed rows, no padding.

decoder.py runs a policy's layers, groups.py its linear layers with their adapters, attention.py,
elementwise.py and loss.py the rest. packing.py makes packs of the rows that rows/dealing.py put
together, and backends/engine.py trains on them. The policy stays a PEFT model: its matrices are the
ones that are trained, saved and loaded.
"""
