"""`python -m tasks.core.training.backends.unsloth SPEC`: what the training process becomes where
Unsloth trains.

Unsloth replaces parts of trl, transformers and peft and has to be imported before them; all else is
__main__.py's.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from importlib import import_module

_GENERATED = "KOSPILOT_UNSLOTH"  # environment variable: the folder of what Unsloth generates


def main() -> int:
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")  # it would ask the network
    os.environ.setdefault(
        "UNSLOTH_DISABLE_AUTO_PADDING_FREE", "1"
    )  # micro-batches are what the checks looked at
    # its code would get into the working folder; a process that starts over goes on with the same
    # one
    generated = os.environ[_GENERATED] = os.environ.get(_GENERATED) or tempfile.mkdtemp(
        prefix="unsloth-"
    )
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", generated)
    try:
        return _import_and_train()
    finally:
        shutil.rmtree(generated, ignore_errors=True)


def _import_and_train() -> int:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # its words would stand among our JSON lines
            import_module("unsloth")
    except (
        Exception
    ) as error:  # whatever its patches run into: nothing was begun, and there is another way
        told = f"unsloth is installed but cannot be imported: {type(error).__name__}: {error}"
        print(
            f"error: {told}. Use training.backend=trl, or `uv sync --extra unsloth`.",
            file=sys.stderr,
        )
        return 2
    return import_module("tasks.core.training.__main__").main()


if __name__ == "__main__":
    sys.exit(main())
