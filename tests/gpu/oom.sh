#!/usr/bin/env bash
# A card that gets full in mid-run, on real SmolLM2 weights, on a GPU machine that has PyTorch, transformers and peft but nothing of ours.
# usage, from the repository's root: tests/gpu/oom.sh SITE GGUF DATA OUT
#   SITE   a folder with the Python packages that the machine lacks (trl, datasets, bitsandbytes, gguf, pydantic)
#   GGUF   the demo model's file; DATA holds rows.jsonl; OUT receives oom.md
set -euo pipefail
site=${1:?SITE} gguf=${2:?GGUF} data=${3:?DATA} out=${4:?OUT}
export PYTHONPATH=$site:$PWD PYTHONUNBUFFERED=1
work=$(mktemp -d)
python3 -m tasks.core.data.base_model.convert "$gguf" "$work/base"
status=0
python3 tests/gpu/oom.py "$work/base" "$data/rows.jsonl" "$work/out" || status=$?
cp "$work/out/oom.md" "$out/"
exit $status
