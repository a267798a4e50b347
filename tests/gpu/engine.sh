#!/usr/bin/env bash
# Speed and memory of training on the 7B's shape, on a GPU machine that has PyTorch, transformers and peft but nothing of ours.
# usage, from the repository's root: tests/gpu/engine.sh SITE OUT PART,PART… [--tiny]
#   SITE   a folder with the Python packages that the machine lacks (trl, datasets, bitsandbytes, pydantic; unsloth, if wanted)
#   OUT    receives engine.md (the table) and engine.jsonl
set -euo pipefail
site=${1:?SITE} out=${2:?OUT}
shift 2
export PYTHONPATH=$site:$PWD PYTHONUNBUFFERED=1 UNSLOTH_DISABLE_STATISTICS=1
exec python3 tests/gpu/engine.py "$out" "$@"
