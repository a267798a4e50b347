#!/usr/bin/env bash
# Several GPUs against one, on a GPU machine that has PyTorch, transformers and peft but nothing of ours.
# usage, from the repository's root: tests/gpu/cards.sh SITE OUT [--tiny]
#   SITE   a folder with the Python packages that the machine lacks (trl, datasets, bitsandbytes, pydantic)
#   OUT    receives cards.md
set -euo pipefail
site=${1:?SITE} out=${2:?OUT}
shift 2
export PYTHONPATH=$site:$PWD PYTHONUNBUFFERED=1
exec python3 tests/gpu/cards.py "$out" "$@"
