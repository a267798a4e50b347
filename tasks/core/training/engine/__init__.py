"""LoRA training of Llama, Qwen2 and Mistral models with few, large operations, packed rows and no
padding.

decoder.py runs a policy's layers, groups.py its linear layers with their adapters, attention.py,
elementwise.py and loss.py the rest. sequences.py deals a step's rows out to micro-batches, packs.py
makes those, trainers.py drives them. The policy stays a PEFT model: its matrices are the ones
trained, saved and loaded.
"""
