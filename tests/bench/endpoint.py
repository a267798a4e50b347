"""Whether the embedded endpoint answers everyone while five clients misbehave: prints how many
answers each of twenty that ask got, how long they waited, and every connection that broke.

    uv run python tests/bench/endpoint.py MODEL.gguf [--seconds 60]

Of the five, one sends headers and no body, one leaves in the middle of an answer, one sends
rubbish, one a byte a second, and one half a header.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tasks.core.evaluation.statistics import percentile
from tasks.core.serving.embedded import EmbeddedServer
from tasks.core.serving.modelfile import Modelfile

ASKERS = 20
TAG = "bench:one"
MODELFILE = Modelfile("", "", {"num_ctx": 2048, "num_predict": 1024, "temperature": 0})
PATH = "POST /v1/chat/completions"
LONG = 1000  # tokens that the one who leaves asks for


@dataclass
class Found:
    """What the clients met."""

    waits_s: list[list[float]] = field(default_factory=lambda: [[] for _ in range(ASKERS)])
    broken: list[str] = field(default_factory=list)  # connections of those who ask
    annoyed: int = 0  # what the five did, in all

    def text(self) -> str:
        """The figures, a line each."""
        every = sorted(wait for waits in self.waits_s for wait in waits)
        counts = sorted(len(waits) for waits in self.waits_s)
        return (
            f"{len(every)} answers; each of {ASKERS} got {counts[0]} to {counts[-1]}\n"
            f"waited {percentile(every, 50)} s (median), {percentile(every, 95)} s (95 %),"
            f" {max(every, default=0):.2f} s (most)\n"
            f"{self.annoyed} requests of the five; {len(self.broken)} connections of those who ask"
            f" broke {sorted(set(self.broken))}"
        )


async def trouble(url: str, tag: str, seconds: float) -> Found:
    """Lets all ask at once for a time; who has asked then still gets the answer."""
    found = Found()
    parts = urlsplit(url)
    place = (str(parts.hostname), int(parts.port or 80))
    end = time.monotonic() + seconds
    bad = [asyncio.create_task(_annoy(place, way, tag, found)) for way in WAYS]
    askers = [_asker(url, tag, waits, end, found) for waits in found.waits_s]
    await asyncio.gather(*askers)
    for task in bad:
        task.cancel()
    await asyncio.gather(*bad, return_exceptions=True)
    return found


async def _asker(url: str, tag: str, waits: list[float], end: float, found: Found) -> None:
    body = {"model": tag, "messages": [{"role": "user", "content": "Which?"}], "max_tokens": 4}
    while True:  # each asks once, however busy the machine is
        start = time.monotonic()
        try:
            async with httpx.AsyncClient(trust_env=False, verify=False, timeout=300) as client:
                answer = await client.post(f"{url}/v1/chat/completions", json=body)
            answer.raise_for_status()
            waits.append(round(time.monotonic() - start, 3))
        except httpx.HTTPError as error:
            found.broken.append(repr(error))
        if time.monotonic() >= end:
            return


def _request(body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n"
    )
    return head.encode() + body


def _long_question(tag: str) -> bytes:
    turn = {"role": "user", "content": "Tell a long story."}
    return json.dumps({"model": tag, "messages": [turn], "max_tokens": LONG}).encode()


async def _stall(tag: str, writer: asyncio.StreamWriter) -> None:
    writer.write(_request(b"", 100))
    await asyncio.sleep(20)


async def _leave(tag: str, writer: asyncio.StreamWriter) -> None:
    writer.write(_request(_long_question(tag)))
    await asyncio.sleep(random.uniform(0.2, 3))


async def _rubbish(tag: str, writer: asyncio.StreamWriter) -> None:
    odd = [b"[]", b"5", b"{", b'{"model": 5}', b"[" * 50_000, random.randbytes(4_000)]
    writer.write(random.choice([_request(random.choice(odd)), random.randbytes(4_000)]))
    await asyncio.sleep(0.2)


async def _trickle(tag: str, writer: asyncio.StreamWriter) -> None:
    for number in _request(_long_question(tag)):
        writer.write(bytes([number]))
        await writer.drain()
        await asyncio.sleep(1)


async def _half_header(tag: str, writer: asyncio.StreamWriter) -> None:
    writer.write(f"{PATH} HTTP/1.1\r\nHo".encode())
    await asyncio.sleep(10)


Way = Callable[[str, asyncio.StreamWriter], Awaitable[None]]
WAYS: tuple[Way, ...] = (_stall, _leave, _rubbish, _trickle, _half_header)


async def _annoy(place: tuple[str, int], way: Way, tag: str, found: Found) -> None:
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(*place)
            with closing(writer):
                found.annoyed += 1
                await way(tag, writer)


def main() -> None:
    """Registers the model, lets all ask, and prints the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("gguf", type=Path)
    arguments.add_argument("--seconds", type=float, default=60)
    chosen = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as home,
        closing(EmbeddedServer(Path(home))) as server,
    ):
        server.create(TAG, chosen.gguf.resolve(), MODELFILE, lambda share, text: None)
        url = server.openai_url.removesuffix("/v1")
        print(asyncio.run(trouble(url, TAG, chosen.seconds)).text())


if __name__ == "__main__":
    main()
