#!/usr/bin/env bash
# The three stages on real SmolLM2 weights, on a GPU machine that has PyTorch, transformers and peft but nothing of ours.
# usage, from the repository's root: tests/gpu/stages.sh SITE GGUF DATA OUT PROFILE SETTING…
#   SITE   a folder with the Python packages that the machine lacks (trl, datasets, bitsandbytes, gguf, pydantic)
#   GGUF   the demo model's file; DATA holds rows.parquet, rows.jsonl and pairs.jsonl
#   OUT    a new folder; it receives table.md and each stage's adapter folder, for `kospilot artifacts import`
#   PROFILE SETTING…   as `kospilot artifacts import FOLDER PROFILE SETTING…` is told them
set -euo pipefail
site=${1:?SITE} gguf=${2:?GGUF} data=${3:?DATA} out=${4:?OUT} profile=${5:?PROFILE}
shift 5
export PYTHONPATH=$site:$PWD PYTHONUNBUFFERED=1
work=$(mktemp -d)
python3 -m tasks.core.data.base_model.convert "$gguf" "$work/base"
(cd "$work/base" && sha256sum -- *)
exec python3 tests/gpu/stages.py "$work" "$data" "$out" "$profile" "$@"
