"""How many sampled answers of each kind are valid under its schema's grammar, on the embedded
server.

    python -m tests.bench.schemas BASE MODEL.gguf [SAMPLES] [KIND ...]

BASE is the folder of the model's tokenizer; without a KIND all are asked. Answers cut by the token
limit are counted apart: they are no valid JSON, and no fault of the grammar. Prints a line per
kind.
"""

import sys
import tempfile
import time
from pathlib import Path

from tasks.core.evaluation.answer import Endpoint
from tasks.core.kinds import KINDS
from tasks.core.serving.embedded import EmbeddedServer
from tests.serving.sampling import demo_days, sample, sampling_modelfile


def main(base: str, gguf: str, samples: str = "20", *kinds: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        days = demo_days(Path(scratch) / "market")
        server = EmbeddedServer(Path(scratch))
        server.create("m:one", Path(gguf), sampling_modelfile(Path(base)), lambda share, text: None)
        try:
            print(f"{'kind':22} valid invalid cut  tokens seconds")
            endpoint = Endpoint.of(server, "m:one")
            for kind in [kind for kind in KINDS if not kinds or kind.name in kinds]:
                started = time.perf_counter()
                drawn = [sample(endpoint, kind, days, seed) for seed in range(int(samples))]
                cut = sum(reply.finish_reason == "length" for reply, _ in drawn)
                valid = sum(holds for _, holds in drawn)
                invalid = len(drawn) - valid - cut
                tokens = sum(reply.completion_tokens for reply, _ in drawn) / len(drawn)
                seconds = time.perf_counter() - started
                print(f"{kind.name:22} {valid:5} {invalid:7} {cut:3} {tokens:7.0f} {seconds:7.1f}")
        finally:
            server.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
