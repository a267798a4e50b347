"""Makes the Stage 1 adapter that ships with kospilot out of what a GPU machine trained.

    python tests/gpu/ship.py STAGE1 MADE.json

Reads STAGE1, the folder that tests/gpu/stages.sh wrote, and MADE.json, which says where it was
trained and how its rows were made. Writes tasks/core/training/shipped_adapter, its weights in
bfloat16: 10 MB in place of 20.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tasks.core.files.digests import digest_file
from tasks.core.training.shipped import shipped_folder

WEIGHTS = "adapter_model.safetensors"
CONFIG = "training_config.json"
COPIED = ("adapter_config.json", "base.json", "checks.json", "metrics.json", "loss.png")


def main(stage: Path, made: Path) -> None:
    out = shipped_folder()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    trained = load_file(stage / WEIGHTS)
    halves = {name: tensor.to(torch.bfloat16) for name, tensor in trained.items()}
    save_file(halves, out / WEIGHTS, metadata={"format": "pt"})
    for name in COPIED:
        shutil.copyfile(stage / name, out / name)
    config = json.loads((stage / CONFIG).read_text())
    for name in config["adapter_files"]:
        config["adapter_files"][name] = digest_file(out / name)
    (out / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    told = json.loads(made.read_text()) | {"trained_weights_sha256": digest_file(stage / WEIGHTS)}
    (out / "made.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    for file in sorted(out.iterdir()):
        print(f"{file.stat().st_size:12,} bytes  {file.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
