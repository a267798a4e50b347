"""The embedded server's process: an OpenAI-style endpoint over the models of a registry folder.

    python -m tasks.core.serving.endpoint FOLDER PORT

llama.cpp's own server does the work in this process; one model is loaded at a time and one request
answered at a time. In front of it stands what a Modelfile adds: the tag, SYSTEM where a
conversation has none, and the parameters.
"""

import gc
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
import xllamacpp

from tasks.core.serving import registry
from tasks.core.serving.modelfile import Modelfile

_FORWARDED = ("/v1/chat/completions", "/apply-template")


class Models:
    """The model that is loaded, if any."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.lock = Lock()
        self._digest: str | None = None
        self._server: xllamacpp.Server | None = None

    def address(self, entry: registry.Entry) -> str:
        """Where the model answers, loaded if it is not."""
        if self._digest != entry.digest:
            self._unload()
            blob = registry.blob_of(self.folder, entry)
            try:
                self._server = xllamacpp.Server(_params(blob, entry.modelfile))
            except RuntimeError as error:
                raise ValueError(
                    f"llama.cpp cannot load {blob}, it may be cut or damaged ({error})"
                ) from None
            self._digest = entry.digest
        return self._server.listening_address

    def _unload(self) -> None:
        self._digest = self._server = None
        gc.collect()  # the server's memory goes with its last reference


def prepare(request: dict[str, Any], modelfile: Modelfile) -> dict[str, Any]:
    """A request with what the Modelfile adds; what the request says itself wins."""
    given = {name: value for name, value in request.items() if value is not None}
    defaults = {
        name: value
        for name, value in modelfile.parameters.items()
        if name not in ("num_ctx", "num_predict")
    }
    if "max_completion_tokens" not in given:
        defaults["max_tokens"] = modelfile.parameters["num_predict"]
    messages = given.get("messages") or []
    if modelfile.system and not (messages and messages[0].get("role") == "system"):
        messages = [{"role": "system", "content": modelfile.system}, *messages]
    # A prompt kept from an earlier request changes the last bits of the next reply.
    return {"cache_prompt": False, **defaults, **given, "messages": messages}


def _params(gguf: Path, modelfile: Modelfile) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx = modelfile.parameters["num_ctx"]
    params.n_parallel = 1
    params.port = 0  # any free one, on loopback
    params.use_jinja = True
    params.verbosity = -1
    return params


class Handler(BaseHTTPRequestHandler):
    models: Models

    def do_GET(self) -> None:
        listed = registry.entries(self.models.folder)
        if self.path == "/health":
            self._answer(200, {"status": "ok"})
        elif self.path == "/v1/models":
            told = [
                {"id": entry.tag, "object": "model", "owned_by": "kospilot"} for entry in listed
            ]
            self._answer(200, {"object": "list", "data": told})
        elif self.path == "/api/tags":  # as Ollama: which bytes a name stands for
            self._answer(
                200, {"models": [{"name": entry.tag, "digest": entry.digest} for entry in listed]}
            )
        else:
            self._answer(404, _error(f"there is no {self.path}"))

    def do_POST(self) -> None:
        with self.models.lock:
            try:
                request = json.loads(
                    self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}"
                )
                self._post(request)
            except ValueError as error:  # not JSON, or weights that cannot be loaded
                self._answer(500, _error(str(error)))

    def _post(self, request: dict[str, Any]) -> None:
        entry = registry.get(self.models.folder, str(request.get("model", "")))
        if self.path not in _FORWARDED:
            self._answer(404, _error(f"there is no {self.path}"))
        elif entry is None:
            self._answer(404, _error(f"model {request.get('model')!r} not found"))
        else:
            self._forward(self.models.address(entry) + self.path, prepare(request, entry.modelfile))

    def _forward(self, url: str, body: dict[str, Any]) -> None:
        with httpx.stream("POST", url, json=body, timeout=None, trust_env=False) as answer:
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("content-type", "application/json"))
            self.end_headers()
            for part in answer.iter_bytes():
                self.wfile.write(part)
                self.wfile.flush()

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, form: str, *parts: Any) -> None:
        """One line a request is noise; what failed is in the answer."""


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message}}


def main(folder: str, port: str) -> None:
    handler = type("FolderHandler", (Handler,), {"models": Models(Path(folder))})
    ThreadingHTTPServer(("127.0.0.1", int(port)), handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
