"""A GGUF computed by llama.cpp, through its C interface: tokens in, logits out.

The library is the one that answers where there is no Ollama: it is inside the package xllamacpp.
Its structs are passed by value, so they are written down here as that version lays them out, and
the defaults that the library fills in prove it before any model is loaded.
"""

import ctypes as c
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xllamacpp

from tasks.core.errors import WorkError
from tasks.core.parity.hop import Floats

CONTEXT = 4_096
"""Tokens that fit beside each other at least; a longer prompt asks for more."""

_BATCH = 2_048
_F32 = 0  # ggml's number of the type

_Ints = c.POINTER(c.c_int32)
_Log = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)


class _ModelParams(c.Structure):
    """struct llama_model_params of llama.h."""

    _fields_ = [
        ("devices", c.c_void_p),
        ("tensor_buft_overrides", c.c_void_p),
        ("n_gpu_layers", c.c_int32),
        ("split_mode", c.c_int32),
        ("load_mode", c.c_int32),
        ("lazy_mode", c.c_int32),
        ("main_gpu", c.c_int32),
        ("tensor_split", c.c_void_p),
        ("progress_callback", c.c_void_p),
        ("progress_callback_user_data", c.c_void_p),
        ("kv_overrides", c.c_void_p),
        ("vocab_only", c.c_bool),
        ("check_tensors", c.c_bool),
        ("use_extra_bufts", c.c_bool),
        ("no_host", c.c_bool),
        ("no_alloc", c.c_bool),
        ("load_mtp", c.c_bool),
    ]


class _ContextParams(c.Structure):
    """struct llama_context_params of llama.h."""

    _fields_ = [
        ("n_ctx", c.c_uint32),
        ("n_batch", c.c_uint32),
        ("n_ubatch", c.c_uint32),
        ("n_seq_max", c.c_uint32),
        ("n_rs_seq", c.c_uint32),
        ("n_outputs_max", c.c_uint32),
        ("n_outputs_max_per_seq", c.c_uint32),
        ("n_threads", c.c_int32),
        ("n_threads_batch", c.c_int32),
        ("ctx_type", c.c_int32),
        ("rope_scaling_type", c.c_int32),
        ("pooling_type", c.c_int32),
        ("attention_type", c.c_int32),
        ("flash_attn_type", c.c_int32),
        ("rope_freq_base", c.c_float),
        ("rope_freq_scale", c.c_float),
        ("yarn_ext_factor", c.c_float),
        ("yarn_attn_factor", c.c_float),
        ("yarn_beta_fast", c.c_float),
        ("yarn_beta_slow", c.c_float),
        ("yarn_orig_ctx", c.c_uint32),
        ("defrag_thold", c.c_float),
        ("cb_eval", c.c_void_p),
        ("cb_eval_user_data", c.c_void_p),
        ("type_k", c.c_int32),
        ("type_v", c.c_int32),
        ("pointers", c.c_void_p * 3),  # callbacks and their data, which stay as they are
        ("embeddings", c.c_bool),
        ("offload_kqv", c.c_bool),
        ("no_perf", c.c_bool),
        ("op_offload", c.c_bool),
        ("swa_full", c.c_bool),
        ("kv_unified", c.c_bool),
        ("more_pointers", c.c_void_p * 3),  # samplers and the like, which stay as they are
    ]


class _Batch(c.Structure):
    """struct llama_batch of llama.h."""

    _fields_ = [
        ("n_tokens", c.c_int32),
        ("token", _Ints),
        ("embd", c.c_void_p),
        ("pos", _Ints),
        ("n_seq_id", _Ints),
        ("seq_id", c.POINTER(_Ints)),
        ("logits", c.POINTER(c.c_int8)),
    ]


_MODEL_DEFAULTS: dict[str, Any] = {
    "n_gpu_layers": -1,
    "split_mode": 1,
    "load_mode": -1,
    "lazy_mode": 1,
    "main_gpu": 0,
    "vocab_only": False,
    "check_tensors": False,
    "use_extra_bufts": True,
    "no_alloc": False,
}
_CONTEXT_DEFAULTS: dict[str, Any] = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "n_threads": 4,
    "n_threads_batch": 4,
    "rope_scaling_type": -1,
    "flash_attn_type": -1,
    "yarn_ext_factor": -1.0,
    "defrag_thold": -1.0,
    "type_k": 1,
    "type_v": 1,
    "embeddings": False,
    "offload_kqv": True,
    "no_perf": True,
    "swa_full": True,
    "kv_unified": False,
}
"""What the library fills in; between them these fields pin where all others lie."""

_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "llama_backend_init": (None, []),
    "llama_log_set": (None, [_Log, c.c_void_p]),
    "llama_model_default_params": (_ModelParams, []),
    "llama_context_default_params": (_ContextParams, []),
    "llama_model_load_from_file": (c.c_void_p, [c.c_char_p, _ModelParams]),
    "llama_init_from_model": (c.c_void_p, [c.c_void_p, _ContextParams]),
    "llama_model_get_vocab": (c.c_void_p, [c.c_void_p]),
    "llama_model_chat_template": (c.c_char_p, [c.c_void_p, c.c_char_p]),
    "llama_vocab_n_tokens": (c.c_int32, [c.c_void_p]),
    "llama_vocab_eos": (c.c_int32, [c.c_void_p]),
    "llama_vocab_is_eog": (c.c_bool, [c.c_void_p, c.c_int32]),
    "llama_tokenize": (
        c.c_int32,
        [c.c_void_p, c.c_char_p, c.c_int32, _Ints, c.c_int32, c.c_bool, c.c_bool],
    ),
    "llama_get_memory": (c.c_void_p, [c.c_void_p]),
    "llama_memory_seq_rm": (c.c_bool, [c.c_void_p, c.c_int32, c.c_int32, c.c_int32]),
    "llama_batch_init": (_Batch, [c.c_int32, c.c_int32, c.c_int32]),
    "llama_decode": (c.c_int32, [c.c_void_p, _Batch]),
    "llama_get_logits_ith": (c.POINTER(c.c_float), [c.c_void_p, c.c_int32]),
}


@cache
def _library() -> c.CDLL:
    """The library, silent and proven. Raises WorkError if it is another version than this one."""
    extension = next(Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"), None)
    if extension is None:
        raise WorkError("The package xllamacpp holds no extension. Install it anew (`uv sync`).")
    library = c.CDLL(str(extension))
    for name, (result, arguments) in _SIGNATURES.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise _wrong_version(f"it has no {name}") from None
        function.restype = result
        function.argtypes = arguments
    check_defaults(library.llama_model_default_params(), _MODEL_DEFAULTS)
    check_defaults(library.llama_context_default_params(), _CONTEXT_DEFAULTS)
    library.llama_log_set(_silent, None)
    library.llama_backend_init()
    return library


# llama.cpp's log goes nowhere: what failed is said by what a function returns.
_silent = _Log(lambda level, text, data: None)


def check_defaults(params: c.Structure, expected: dict[str, Any]) -> None:
    """Raises WorkError unless the library's own defaults lie where this module looks for them."""
    for name, value in expected.items():
        found = getattr(params, name)
        if found != value:
            raise _wrong_version(f"{type(params).__name__}.{name} is {found} there, not {value}")


def _wrong_version(difference: str) -> WorkError:
    return WorkError(
        f"The llama.cpp in xllamacpp {xllamacpp.__version__} is not the one that this kospilot was"
        f" written for: {difference}. Install the version that pyproject.toml pins (`uv sync`)."
    )


class LlamaModel:
    """A GGUF in memory; one per process, whose end frees it."""

    def __init__(self, gguf: Path, context: int, threads: int):
        """Loads the file. Raises WorkError if llama.cpp cannot."""
        self._llama = _library()
        model_params = self._llama.llama_model_default_params()
        self._model = self._llama.llama_model_load_from_file(str(gguf).encode(), model_params)
        if not self._model:
            raise WorkError(f"llama.cpp cannot load {gguf}; it may be cut or damaged.")
        self._vocab = self._llama.llama_model_get_vocab(self._model)
        self._tokens: int = self._llama.llama_vocab_n_tokens(self._vocab)
        params = self._llama.llama_context_default_params()
        params.n_ctx = max(CONTEXT, context)
        params.n_batch = _BATCH
        params.n_threads = params.n_threads_batch = threads
        # As exact as the reference: no 16-bit keys and values, no blocked softmax.
        params.type_k = params.type_v = _F32
        params.flash_attn_type = 0
        self._context = self._llama.llama_init_from_model(self._model, params)
        if not self._context:
            raise WorkError(f"llama.cpp has no memory for {params.n_ctx} tokens of {gguf}.")
        self._memory = self._llama.llama_get_memory(self._context)
        self._batch = self._llama.llama_batch_init(_BATCH, 0, 1)

    @property
    def vocabulary(self) -> int:
        """Tokens that the model knows."""
        return self._tokens

    @property
    def chat_template(self) -> str:
        """The template in the file; empty if there is none."""
        return (self._llama.llama_model_chat_template(self._model, None) or b"").decode()

    @property
    def eos(self) -> int:
        """The token that the file says ends an answer; -1 if it says none."""
        return int(self._llama.llama_vocab_eos(self._vocab))

    def ends(self, token: int) -> bool:
        """Whether llama.cpp stops an answer at this token."""
        return bool(self._llama.llama_vocab_is_eog(self._vocab, token))

    def tokenize(self, text: str) -> list[int]:
        """Returns llama.cpp's own tokens of a text; special tokens are read as such."""
        data = text.encode()
        room = (c.c_int32 * (len(data) + 1))()
        count = self._llama.llama_tokenize(
            self._vocab, data, len(data), room, len(room), False, True
        )
        return list(room[:count])

    def feed(self, keep: int, tokens: list[int], wanted: int) -> Floats:
        """Returns logits as hop.Model says. Raises WorkError if llama.cpp fails."""
        self._llama.llama_memory_seq_rm(self._memory, 0, keep, -1)
        logits = np.empty((wanted, self._tokens), np.float32)
        for start in range(0, len(tokens), _BATCH):
            part = tokens[start : start + _BATCH]
            first_wanted = len(tokens) - wanted - start
            self._decode(keep + start, part, first_wanted)
            for index in range(max(0, first_wanted), len(part)):
                row = self._llama.llama_get_logits_ith(self._context, index)
                logits[index - first_wanted] = np.ctypeslib.as_array(row, (self._tokens,))
        return logits

    def _decode(self, position: int, tokens: list[int], first_wanted: int) -> None:
        batch = self._batch
        batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            batch.token[index] = token
            batch.pos[index] = position + index
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
            batch.logits[index] = index >= first_wanted
        code = self._llama.llama_decode(self._context, batch)
        if code:
            raise WorkError(f"llama.cpp failed to read {len(tokens)} tokens (code {code}).")
