"""llama.cpp's converter, unable to run code that a model's folder brings.

    python -m tasks.core.release.converting CONVERTER ARGUMENT…   does what CONVERTER does

The converter asks transformers to trust the code of every model that it reads, and has no option
against it.
"""

import os
import runpy
import sys
from pathlib import Path
from typing import NoReturn

from transformers import dynamic_module_utils


def _refuse(
    class_name: str, module_path: str | os.PathLike[str], *, force_reload: bool = False
) -> NoReturn:
    """Takes the place of the one function by which transformers runs a model's own code."""
    raise ValueError(f"{module_path} is code of the model's own ({class_name}) and is not run")


def main() -> None:
    """Runs the converter that the command names, with the arguments behind it."""
    del sys.argv[0]  # the converter finds its own name and its arguments there
    converter = Path(sys.argv[0])
    if not hasattr(dynamic_module_utils, "get_class_in_module"):
        sys.exit(
            "error: this version of transformers runs a model's own code by another function than"
            " the one that kospilot shuts. Install the one that pyproject.toml pins (`uv sync`)."
        )
    # Before anything of transformers is imported that binds the name.
    dynamic_module_utils.get_class_in_module = _refuse
    sys.path[0] = str(converter.parent)  # as if it had been called itself: its modules lie there
    runpy.run_path(str(converter), run_name="__main__")


if __name__ == "__main__":
    main()
