"""The embedded server's process: an OpenAI-style endpoint over the models of a registry folder.

    python -m tasks.core.serving.embedded_endpoint FOLDER PORT SOCKETS

llama.cpp's own server does the work in this process. One model is loaded at a time, a small one in
several copies, and each copy answers one request at a time, in the order in which they came whole.
In front of them stands what a Modelfile adds: the tag, SYSTEM if a conversation has none, and the
parameters. Web pages are refused, by whatever name they call this machine, and each copy listens on
a socket file in the folder SOCKETS, which is this user's alone.
"""

import asyncio
import contextlib
import gc
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import xllamacpp
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tasks.core.processes.connections import BoundedConnection
from tasks.core.processes.cores import threads
from tasks.core.processes.own_clients import OwnClientsOnly
from tasks.core.serving import embedded_registry as registry
from tasks.core.serving.modelfile import Modelfile

_NOT_LLAMA_CPPS = ("num_ctx", "num_predict")
"""Parameters of a Modelfile that llama.cpp takes in another way than under their own names."""
_BODY_S = 30.0
"""A request may take so long to arrive, and loopback takes milliseconds."""
_MOST_BYTES = 16 << 20
"""A request may be so large, which is more text than any context holds."""


class Models:
    """The model that is loaded, if any, in as many copies as its entry says.

    llama.cpp's socket files are made in the folder `sockets`.
    """

    def __init__(self, folder: Path, sockets: Path):
        self.folder = folder
        self._sockets = sockets
        self._turn = asyncio.Lock()  # of the request that is next
        self._digest: str | None = None
        self._servers: list[xllamacpp.Server] = []
        self._free: asyncio.Queue[Path] = asyncio.Queue()  # sockets of the copies without a request
        self._idle = asyncio.Event()  # whether no copy has a request
        self._idle.set()

    def entry(self, request: dict[str, Any]) -> registry.Entry:
        """Returns the model that a request names. Raises HTTPException if there is none."""
        entry = registry.get(self.folder, str(request.get("model", "")))
        if entry is None:
            raise HTTPException(404, f"model {request.get('model')!r} not found")
        return entry

    @contextlib.asynccontextmanager
    async def connection(self, entry: registry.Entry) -> AsyncIterator[httpx.AsyncHTTPTransport]:
        """Lends a copy of the model; it is loaded first if another one is, or none.

        All else waits meanwhile: llama.cpp holds Python's lock while it loads.
        """
        async with self._turn:
            if self._digest != entry.digest:
                await self._idle.wait()
                self._load(entry)
            socket = await self._free.get()
            self._idle.clear()
        try:
            yield httpx.AsyncHTTPTransport(uds=str(socket))
        finally:
            self._free.put_nowait(socket)
            if self._free.qsize() == len(self._servers):
                self._idle.set()

    async def unload(self, entry: registry.Entry) -> None:
        """Frees the model's memory if it is the one that is loaded."""
        async with self._turn:
            if self._digest == entry.digest:
                await self._idle.wait()
                self._drop()

    def _load(self, entry: registry.Entry) -> None:
        self._drop()
        gguf = registry.blob_of(self.folder, entry)
        for number in range(entry.copies):
            socket = self._sockets / f"llama-{number}.sock"
            socket.unlink(missing_ok=True)
            self._servers.append(_load(gguf, entry, socket))
            self._free.put_nowait(socket)
        self._digest = entry.digest

    def _drop(self) -> None:
        self._digest = None
        self._servers.clear()
        while not self._free.empty():
            self._free.get_nowait()
        gc.collect()  # a server's memory goes with its last reference


def _load(gguf: Path, entry: registry.Entry, socket: Path) -> xllamacpp.Server:
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx = entry.modelfile.parameters["num_ctx"]
    if entry.copies > 1:
        params.cpuparams.n_threads = threads() // entry.copies
        params.cpuparams_batch.n_threads = threads()  # a prompt's tokens are read side by side
    params.n_parallel = 1
    # Blocked softmax takes a CPU half as long again for a token behind 1,500 others.
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.hostnames = [str(socket)]
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.use_jinja = True
    params.verbosity = -1
    # Python could not handle the signal before the model is there, which may take minutes.
    graceful = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise HTTPException(
            500, f"llama.cpp cannot load {gguf}, it may be cut or damaged ({error})"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, graceful)


def prepare(request: dict[str, Any], modelfile: Modelfile) -> dict[str, Any]:
    """Returns a request with what the Modelfile adds; what the request says itself wins.

    Raises HTTPException if its messages are none.
    """
    given = {name: value for name, value in request.items() if value is not None}
    defaults = dict(modelfile.parameters)
    for name in _NOT_LLAMA_CPPS:
        defaults.pop(name, None)
    if "max_completion_tokens" not in given:
        defaults["max_tokens"] = modelfile.parameters["num_predict"]
    messages = given.get("messages", [])
    if not isinstance(messages, list) or not all(isinstance(turn, dict) for turn in messages):
        raise HTTPException(400, "messages is no list of objects")
    begins_with_system = bool(messages) and messages[0].get("role") == "system"
    if modelfile.system and not begins_with_system:
        messages = [{"role": "system", "content": modelfile.system}, *messages]
    # A prompt kept from an earlier request changes the last bits of the next reply.
    return {"cache_prompt": False, **defaults, **given, "messages": messages}


async def _read(request: Request) -> dict[str, Any]:
    """Returns a request's JSON object. Raises HTTPException if it is none or does not come."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise HTTPException(413, f"a request may have {_MOST_BYTES >> 20} MiB")
        value = json.loads(body)
    except TimeoutError:
        raise HTTPException(408, f"the request did not come whole in {_BODY_S:g} s") from None
    except (ValueError, RecursionError):
        raise HTTPException(400, "the request is no JSON") from None
    if not isinstance(value, dict):
        raise HTTPException(400, "the request is no JSON object")
    return value


def _encode(value: dict[str, Any]) -> bytes:
    """Raises HTTPException if the value holds NaN, Infinity or half a character."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise HTTPException(400, f"the request is no JSON ({error})") from None


class Forward:
    """An application that passes a path's requests on to the models that they name."""

    def __init__(self, models: Models):
        self.models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; the work ends when its client leaves."""
        try:
            request = await _read(Request(scope, receive))
        except ClientDisconnect:
            return
        entry = self.models.entry(request)
        content = _encode(prepare(request, entry.modelfile))
        answering = asyncio.create_task(self._answer(scope["path"], entry, content, send))
        leaving = asyncio.create_task(_leaving(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            was_left = answering.cancel()
        if not was_left:
            await answering  # raises what it raised

    async def _answer(self, path: str, entry: registry.Entry, content: bytes, send: Send) -> None:
        async with (
            self.models.connection(entry) as transport,
            httpx.AsyncClient(transport=transport, timeout=None) as client,
            client.stream("POST", f"http://llama.cpp{path}", content=content) as answer,
        ):
            kind = answer.headers.get("content-type", "application/json")
            headers = [(b"content-type", kind.encode())]
            status = answer.status_code
            await send({"type": "http.response.start", "status": status, "headers": headers})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _leaving(receive: Receive) -> None:
    """Returns when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _refuse(status: int, message: str) -> JSONResponse:
    """The connection ends with a refusal: the rest of its request may never come."""
    return JSONResponse({"error": {"message": message}}, status, {"Connection": "close"})


def _refuse_for(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException), "these are what this handler is for"
    return _refuse(error.status_code, error.detail)


def application(folder: Path, sockets: Path) -> Starlette:
    """Returns the endpoint over the models of a registry folder."""

    @contextlib.asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        app.router.routes.extend(_routes(Models(folder, sockets)))
        yield
        shutil.rmtree(sockets, ignore_errors=True)  # who made it may have been killed

    return Starlette(
        lifespan=running,
        middleware=[Middleware(OwnClientsOnly)],
        exception_handlers={HTTPException: _refuse_for},
    )


def _routes(models: Models) -> list[Route]:
    async def health(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def listed(request: Request) -> JSONResponse:
        tags = [entry.tag for entry in registry.entries(models.folder)]
        data = [{"id": tag, "object": "model", "owned_by": "kospilot"} for tag in tags]
        return JSONResponse({"object": "list", "data": data})

    async def unload(request: Request) -> JSONResponse:
        entry = models.entry(await _read(request))
        await models.unload(entry)
        return JSONResponse({})

    return [
        Route("/health", health),
        Route("/v1/models", listed),
        Route("/v1/chat/completions", Forward(models), methods=["POST"]),
        Route("/apply-template", Forward(models), methods=["POST"]),
        Route("/unload", unload, methods=["POST"]),
    ]


def main(folder: str, port: str, sockets: str) -> None:
    """Serves the models of a registry folder on a loopback port until the process is ended."""
    uvicorn.run(
        application(Path(folder), Path(sockets)),
        host="127.0.0.1",
        port=int(port),
        workers=1,  # whatever WEB_CONCURRENCY says
        http=BoundedConnection,
        backlog=BoundedConnection.most,  # so many are taken at once
        ws="none",
        proxy_headers=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=0,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
