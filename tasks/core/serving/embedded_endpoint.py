"""The embedded server's process: an OpenAI-style endpoint over the models of a registry folder.

    python -m tasks.core.serving.embedded_endpoint FOLDER PORT

llama.cpp's own server does the work in this process; one model is loaded at a time and one request
is answered at a time. In front of it stands what a Modelfile adds: the tag, SYSTEM if a
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

from tasks.core.serving import embedded_registry as registry
from tasks.core.serving.modelfile import Modelfile

_FORWARDED = ("/v1/chat/completions", "/apply-template")
_NOT_LLAMA_CPPS = ("num_ctx", "num_predict")
"""Parameters of a Modelfile that llama.cpp takes in another way than under their own names."""


class Models:
    """The model that is loaded, if any. Whoever uses it holds `lock`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.lock = Lock()
        self._digest: str | None = None
        self._server: xllamacpp.Server | None = None

    def address(self, entry: registry.Entry) -> str:
        """Returns where the model answers; it is loaded first if another one is, or none."""
        if self._server is None or self._digest != entry.digest:
            self._drop()
            self._server = _load(registry.blob_of(self.folder, entry), entry.modelfile)
            self._digest = entry.digest
        return self._server.listening_address

    def unload(self, entry: registry.Entry) -> None:
        """Frees the model's memory if it is the one that is loaded."""
        if self._digest == entry.digest:
            self._drop()

    def _drop(self) -> None:
        self._digest = None
        self._server = None
        gc.collect()  # the server's memory goes with its last reference


def _load(gguf: Path, modelfile: Modelfile) -> xllamacpp.Server:
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx = modelfile.parameters["num_ctx"]
    params.n_parallel = 1
    params.port = 0  # any free one, on loopback
    params.use_jinja = True
    params.verbosity = -1
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ValueError(
            f"llama.cpp cannot load {gguf}, it may be cut or damaged ({error})"
        ) from None


def prepare(request: dict[str, Any], modelfile: Modelfile) -> dict[str, Any]:
    """Returns a request with what the Modelfile adds; what the request says itself wins."""
    given = {name: value for name, value in request.items() if value is not None}
    defaults = dict(modelfile.parameters)
    for name in _NOT_LLAMA_CPPS:
        defaults.pop(name, None)
    if "max_completion_tokens" not in given:
        defaults["max_tokens"] = modelfile.parameters["num_predict"]
    messages = given.get("messages") or []
    begins_with_system = bool(messages) and messages[0].get("role") == "system"
    if modelfile.system and not begins_with_system:
        messages = [{"role": "system", "content": modelfile.system}, *messages]
    # A prompt kept from an earlier request changes the last bits of the next reply.
    return {"cache_prompt": False, **defaults, **given, "messages": messages}


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of `main`'s server; a new one is made for each connection."""

    models: Models

    def do_GET(self) -> None:
        """Answers what can be said without loading a model."""
        if self.path == "/health":
            self._answer(200, {"status": "ok"})
        elif self.path == "/v1/models":
            self._answer(200, {"object": "list", "data": self._models()})
        else:
            self._answer(404, _error(f"there is no {self.path}"))

    def do_POST(self) -> None:
        """Passes a request on to the model that it names, one request at a time."""
        with self.models.lock:
            try:
                length = int(self.headers.get("Content-Length", 0))
                self._post(json.loads(self.rfile.read(length) or "{}"))
            except ValueError as error:  # not JSON, or weights that cannot be loaded
                self._answer(500, _error(str(error)))

    def log_message(self, form: str, *parts: Any) -> None:
        """Logs nothing: a line for each request is noise, and what failed is in the answer."""

    def _post(self, request: dict[str, Any]) -> None:
        entry = registry.get(self.models.folder, str(request.get("model", "")))
        if self.path not in (*_FORWARDED, "/unload"):
            self._answer(404, _error(f"there is no {self.path}"))
        elif entry is None:
            self._answer(404, _error(f"model {request.get('model')!r} not found"))
        elif self.path == "/unload":
            self.models.unload(entry)
            self._answer(200, {})
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

    def _models(self) -> list[dict[str, str]]:
        models = registry.entries(self.models.folder)
        return [{"id": model.tag, "object": "model", "owned_by": "kospilot"} for model in models]


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message}}


def main(folder: str, port: str) -> None:
    """Serves the models of a registry folder on a loopback port until the process is ended."""

    class FolderHandler(Handler):
        models = Models(Path(folder))

    ThreadingHTTPServer(("127.0.0.1", int(port)), FolderHandler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
