"""The hops that PyTorch computes: the reference, then the merged model.

    python -m tasks.core.parity.torch_hops JOB.json

Reads prompts.json; writes each hop's files beside it. In a process of its own, because it takes
the memory of two models and a library.
"""

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.core.files.json_files import write_json
from tasks.core.parity.hop import MERGED, REFERENCE, measure
from tasks.core.parity.jobs import TorchFacts, TorchJob
from tasks.core.parity.program import child_progress, run_program
from tasks.core.parity.prompts import read_prompts
from tasks.core.parity.torch_model import TorchModel, load_merged, load_reference
from tasks.core.records.artifacts import Progress, stretch_of
from tasks.core.records.training_base import TrainingBase


@dataclass(frozen=True)
class Hop:
    """A hop's name, and how its model is loaded."""

    name: str
    load: Callable[[], TorchModel]


def main(job: TorchJob) -> None:
    """Measures both models, one after the other."""
    trained = TrainingBase(**job.trained) if job.trained else None
    adapter = Path(job.adapter) if job.adapter else None
    prompts = Path(job.prompts)
    reference = Hop(REFERENCE, lambda: load_reference(Path(job.base), adapter, trained))
    measure_torch(reference, prompts, stretch_of(child_progress(REFERENCE), 0.0, 0.5))
    gc.collect()  # the first model goes before the second comes
    merged = Hop(MERGED, lambda: load_merged(Path(job.merged)))
    measure_torch(merged, prompts, stretch_of(child_progress(MERGED), 0.5, 0.5))


def measure_torch(hop: Hop, file: Path, progress: Progress) -> None:
    """Measures one model; `file` is prompts.json, beside which the hop's files go."""
    start = time.perf_counter()
    prompts = read_prompts(file)
    model = hop.load()
    measure(model, prompts, file.parent, hop.name, progress)
    facts = TorchFacts(time.perf_counter() - start, model.ends(prompts.end))
    write_json(file.parent / f"{hop.name}-facts.json", asdict(facts))


if __name__ == "__main__":
    sys.exit(run_program(TorchJob, main))
