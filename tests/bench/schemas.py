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

from tasks.core.kinds import KINDS
from tasks.core.serving.embedded import EmbeddedServer
from tests.serving.sampling import demo_days, sample, sampling_modelfile


def main(base: str, gguf: str, samples: str = "20", *kinds: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        days, server = demo_days(Path(scratch) / "market"), EmbeddedServer(Path(scratch))
        server.create("m:one", Path(gguf), sampling_modelfile(Path(base)), lambda share, text: None)
        try:
            print(f"{'kind':22} valid invalid cut  tokens seconds")
            for kind in [kind for kind in KINDS if not kinds or kind.name in kinds]:
                started = time.perf_counter()
                found = [
                    sample(server.openai_url, "m:one", kind, days, seed)
                    for seed in range(int(samples))
                ]
                cut = sum(reply.finish_reason == "length" for reply, _ in found)
                valid = sum(holds for _, holds in found)
                tokens = sum(reply.completion_tokens for reply, _ in found) / len(found)
                seconds = time.perf_counter() - started
                print(
                    f"{kind.name:22} {valid:5} {len(found) - valid - cut:7} {cut:3} {tokens:7.0f} {seconds:7.1f}"
                )
        finally:
            server.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
