"""The chain as a tuple of steps, each in a file of its own here.

    download → normalize ─────────────► stage1 (SFT) ─┐
    market → synthesize ──────────────► stage2 (SFT) ─┤
                         └─► pairs ───► stage3 (DPO) ─┴► merge → gguf → quantize
                                              → parity → register → evaluate → promote

Beside these, `rejects` asks the Stage 2 model for wrong answers if the settings want them, and
`baseline` quantizes the base model, with which `evaluate` compares the release. `rehearse` tries
the way from merge to register on a small random model before anything is trained. `imatrix` says
which weights `quantize` rounds with care, and `also` makes further quantizations.

A new step is a file with a `STEP` in it, and its name below. The files import what they build with
inside their functions: a plan needs no tokenizer and no torch. Files that begin with _ are shared
by steps.
"""

from importlib import import_module

from tasks.core.chain.step import Step, resolve
from tasks.core.settings.tree import Settings

_NAMES = (
    "download",
    "rehearse",
    "normalize",
    "market",
    "synthesize",
    "rejects",
    "pairs",
    "stage1",
    "stage2",
    "stage3",
    "merge",
    "gguf",
    "imatrix",
    "quantize",
    "parity",
    "also",
    "register",
    "baseline",
    "evaluate",
    "promote",
)

CHAIN: tuple[Step, ...] = tuple(import_module(f"{__name__}.{name}").STEP for name in _NAMES)


def chain(settings: Settings) -> dict[str, Step]:
    """The steps that run with these settings, by name, each after all that it reads."""
    return resolve(CHAIN, settings)
