"""LoRA training of Llama, Qwen2 and Mistral models with few, large operations, packed rows and no padding.

decoder.py runs a policy's layers, groups.py its linear layers with their adapters, attention.py, elementwise.py and
loss.py the rest; packs.py turns rows into micro-batches, trainers.py drives them. The policy stays a PEFT model: its
matrices are the ones trained, saved and loaded.
"""
