#!/usr/bin/env bash
# The three stages on real SmolLM2 weights, on a GPU machine that has PyTorch, transformers and peft but nothing of ours.
# usage, from the repository's root: tests/gpu/stages.sh SITE GGUF DATA OUT
#   SITE   a folder with the Python packages that the machine lacks (trl, datasets, bitsandbytes, gguf, pydantic)
#   GGUF   the demo model's file; DATA holds rows.parquet, rows.jsonl and pairs.jsonl
#   OUT    receives table.md and each stage's telemetry, checks and loss picture
set -euo pipefail
site=${1:?SITE} gguf=${2:?GGUF} data=${3:?DATA} out=${4:?OUT}
export PYTHONPATH=$site:$PWD PYTHONUNBUFFERED=1
work=$(mktemp -d)
python3 -m tasks.core.data.base convert "$gguf" "$work/base"
status=0
python3 tests/gpu/stages.py "$work/base" "$data" "$work/out" || status=$?
for stage in stage1 stage2 stage3; do
  for file in telemetry.jsonl loss.png; do
    cp "$work/out/$stage/$file" "$out/$stage-$file" || true
  done
  tail -n 1 "$work/out/$stage/telemetry.jsonl" || true
  cat "$work/out/$stage/checks.json" || true
done
cp "$work/out/table.md" "$out/" || true
exit $status
