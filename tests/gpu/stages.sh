#!/usr/bin/env bash
# The three stages on real SmolLM2 weights, on a GPU machine that has PyTorch, transformers and peft but nothing of ours.
# usage, from the repository's root: tests/gpu/stages.sh SITE PARTS OUT
#   SITE   a folder with the Python packages that the machine lacks (trl, datasets, bitsandbytes, gguf, pydantic)
#   PARTS  the demo model's GGUF in PARTS/0/part, PARTS/1/part …, and PARTS/data with rows.parquet, rows.jsonl, pairs.jsonl
#   OUT    receives table.md and each stage's telemetry, checks and loss picture
set -euo pipefail
site=${1:?SITE} parts=${2:?PARTS} out=${3:?OUT}
export PYTHONPATH=$site:$PWD PYTHONUNBUFFERED=1
work=$(mktemp -d)
mkdir "$work/gguf"
cat "$parts"/[0-9]/part > "$work/gguf/SmolLM2-135M-Instruct.Q4_1.gguf"
python3 -m tasks.core.data.base convert "$work/gguf/SmolLM2-135M-Instruct.Q4_1.gguf" "$work/base"
status=0
python3 tests/gpu/stages.py "$work/base" "$parts/data" "$work/out" || status=$?
for stage in stage1 stage2 stage3; do
  for file in telemetry.jsonl loss.png; do
    cp "$work/out/$stage/$file" "$out/$stage-$file" || true
  done
  tail -n 1 "$work/out/$stage/telemetry.jsonl" || true
  cat "$work/out/$stage/checks.json" || true
done
cp "$work/out/table.md" "$out/" || true
exit $status
