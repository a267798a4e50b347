#!/usr/bin/env bash
# A card that gets full in mid-run, on real SmolLM2 weights, on a GPU machine that has PyTorch, transformers and peft but nothing of ours.
# usage, from the repository's root: tests/gpu/oom.sh SITE PARTS OUT
#   SITE   a folder with the Python packages that the machine lacks (trl, datasets, bitsandbytes, gguf, pydantic)
#   PARTS  the demo model's GGUF in PARTS/0/part, PARTS/1/part …, and PARTS/data/rows.jsonl
#   OUT    receives oom.md
set -euo pipefail
site=${1:?SITE} parts=${2:?PARTS} out=${3:?OUT}
export PYTHONPATH=$site:$PWD PYTHONUNBUFFERED=1
work=$(mktemp -d)
mkdir "$work/gguf"
cat "$parts"/[0-9]/part > "$work/gguf/SmolLM2-135M-Instruct.Q4_1.gguf"
python3 -m tasks.core.data.base convert "$work/gguf/SmolLM2-135M-Instruct.Q4_1.gguf" "$work/base"
status=0
python3 tests/gpu/oom.py "$work/base" "$parts/data/rows.jsonl" "$work/out" || status=$?
cp "$work/out/oom.md" "$out/"
exit $status
