"""`python -m tasks.core.training.backends.unsloth SPEC`: the training process if Unsloth trains.

Unsloth replaces parts of trl, transformers and peft and has to be imported before them; everything
else is __main__.py's.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from importlib import import_module

_GENERATED = "KOSPILOT_UNSLOTH"
"""Environment variable: the folder of the code that Unsloth generates."""


def main() -> int:
    """Trains with Unsloth and returns the exit code; what Unsloth generated is removed."""
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")  # it would ask the network
    # the checks looked at micro-batches as they are, and Unsloth would change them
    os.environ.setdefault("UNSLOTH_DISABLE_AUTO_PADDING_FREE", "1")
    folder = _folder_for_generated_code()
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", folder)
    try:
        return _import_and_train()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder_for_generated_code() -> str:
    """Returns the folder for the code that Unsloth generates.

    Otherwise Unsloth would write into the working folder. A process that starts over keeps its
    folder.
    """
    folder = os.environ.get(_GENERATED) or tempfile.mkdtemp(prefix="unsloth-")
    os.environ[_GENERATED] = folder
    return folder


def _import_and_train() -> int:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # its words would stand among our JSON lines
            import_module("unsloth")
    # any exception: its patches may fail in any way, and another backend can still train
    except Exception as error:
        print(
            f"error: unsloth is installed but cannot be imported: {type(error).__name__}: {error}."
            " Use training.backend=trl, or `uv sync --extra unsloth`.",
            file=sys.stderr,
        )
        return 2
    return import_module("tasks.core.training.__main__").main()


if __name__ == "__main__":
    sys.exit(main())
