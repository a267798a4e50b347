#!/usr/bin/env bash
# The engine against plain TRL on real SmolLM2 weights, on a GPU machine that has PyTorch, transformers and peft but
# nothing of ours.
# usage, from the repository's root: tests/gpu/sameness.sh SITE GGUF DATA OUT
#   SITE   a folder with the Python packages that the machine lacks (trl, datasets, bitsandbytes, gguf, pydantic)
#   GGUF   the demo model's file; DATA holds rows.jsonl and pairs.jsonl; OUT receives sameness.md
set -euo pipefail
site=${1:?SITE} gguf=${2:?GGUF} data=${3:?DATA} out=${4:?OUT}
export PYTHONPATH=$site:$PWD PYTHONUNBUFFERED=1 CUDA_VISIBLE_DEVICES=0 HF_HUB_OFFLINE=1
work=$(mktemp -d)
python3 -m tasks.core.data.base_model.convert "$gguf" "$work/base"
mkdir "$work/out"
trap 'cp "$work/out/sameness.md" "$out/"' EXIT
python3 tests/gpu/sameness.py "$work/base" "$data" "$work/out"
